// Addresses within the window. They live after the #, so a reload comes back to the same place.

export type Route =
  | { place: 'home' }
  | { place: 'start' }
  | { place: 'data' }
  | { place: 'dataset'; id: string }
  | { place: 'models' }
  | { place: 'runs' }
  | { place: 'new-run' }
  | { place: 'run'; id: string }
  | { place: 'try'; run: string | null }
  | { place: 'serve'; run: string | null }
  | { place: 'settings' };

const SIMPLE = ['start', 'models', 'settings'] as const;

/** The route of an address; unknown addresses lead home. */
export function parseRoute(hash: string): Route {
  const [first = '', second] = hash.replace(/^#?\/?/, '').split('/').map(decoded);
  if (SIMPLE.includes(first as (typeof SIMPLE)[number])) return { place: first as (typeof SIMPLE)[number] };
  if (first === 'data') return second ? { place: 'dataset', id: second } : { place: 'data' };
  if (first === 'runs') return !second ? { place: 'runs' } : second === 'new' ? { place: 'new-run' } : { place: 'run', id: second };
  if (first === 'try' || first === 'serve') return { place: first, run: second || null };
  return { place: 'home' };
}

/** The address of a route. */
export function formatRoute(route: Route): string {
  switch (route.place) {
    case 'home': return '#/';
    case 'dataset': return `#/data/${encodeURIComponent(route.id)}`;
    case 'new-run': return '#/runs/new';
    case 'run': return `#/runs/${encodeURIComponent(route.id)}`;
    case 'try':
    case 'serve': return route.run ? `#/${route.place}/${encodeURIComponent(route.run)}` : `#/${route.place}`;
    default: return `#/${route.place}`;
  }
}

/** Which entry of the sidebar a route belongs to. */
export function section(route: Route): 'home' | 'data' | 'models' | 'runs' | 'try' | 'serve' | 'settings' {
  switch (route.place) {
    case 'start': return 'home';
    case 'dataset': return 'data';
    case 'new-run':
    case 'run': return 'runs';
    default: return route.place;
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
