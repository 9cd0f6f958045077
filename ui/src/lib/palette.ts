// What the palette offers, and how it is ordered by what was typed.
import { score } from './search';

export type Offer = { id: string; group: 'do' | 'runs' | 'data' | 'models' | 'go'; label: string; beside?: string; right?: string; key?: string };

const ORDER: Offer['group'][] = ['do', 'runs', 'data', 'models', 'go'];

/** Offers that match, by group; within a group the best first, at most `most` each. */
export function matching<T extends Offer>(offers: readonly T[], query: string, most = 6): { group: Offer['group']; offers: T[] }[] {
  return ORDER.map((group) => ({
    group,
    offers: offers
      .filter((offer) => offer.group === group)
      .map((offer) => ({ offer, points: score(query, `${offer.label} ${offer.beside ?? ''}`) }))
      .filter(({ points }) => points > 0)
      .sort((a, b) => b.points - a.points)
      .slice(0, most)
      .map(({ offer }) => offer),
  })).filter(({ offers: found }) => found.length > 0);
}
