// What the command palette finds and how it orders it.

import { expect, it } from 'vitest';
import { matching, type Offer } from './palette';

const OFFERS: Offer[] = [
  { id: '1', group: 'go', label: 'Runs' },
  { id: '2', group: 'do', label: 'Pause support-7', beside: 'keeps everything' },
  { id: '3', group: 'runs', label: 'tales-1' },
  { id: '4', group: 'runs', label: 'support-7' },
];

it('orders groups as they are shown and drops empty ones', () => {
  expect(matching(OFFERS, '').map((one) => one.group)).toEqual(['do', 'runs', 'go']);
  expect(matching(OFFERS, 'sup').map((one) => [one.group, one.offers.map((offer) => offer.id)])).toEqual([['do', ['2']], ['runs', ['4']]]);
});

it('finds words beside the label and shows no more than asked', () => {
  expect(matching(OFFERS, 'everything')[0]?.offers[0]?.id).toBe('2');
  expect(matching(OFFERS, '', 1).find((one) => one.group === 'runs')?.offers).toHaveLength(1);
});
