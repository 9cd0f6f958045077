// Where the window is.
import { formatRoute, parseRoute, type Route } from '../lib/route';

let current = $state<Route>(parseRoute(location.hash));
addEventListener('hashchange', () => (current = parseRoute(location.hash)));

export const router = {
  get route(): Route {
    return current;
  },
};

export function go(route: Route): void {
  const hash = formatRoute(route);
  if (location.hash !== hash) location.hash = hash;
  current = route;
}
