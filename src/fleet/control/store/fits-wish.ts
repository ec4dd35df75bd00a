import type { Labels } from '../../common/words.ts';
import type { ClaimWish, StoredCluster } from './store.ts';

type Chosen = Pick<StoredCluster, 'host' | 'labels' | 'blueprint' | 'parameters'>;
type Selector = ClaimWish['selectors'][number];

/** Labels of a host are those of its clusters too, unless a cluster has its own of that name. */
export function isSelected({ host, labels }: Chosen, selector: Selector, hostLabels: Labels): boolean {
  return (selector.host === '' || selector.host === host) && hasLabels({ ...hostLabels, ...labels }, selector.labels);
}

/** Whether a cluster is of the blueprint and the parameters that are asked for. */
export function isOfKind({ blueprint, parameters }: Chosen, wish: ClaimWish): boolean {
  return (wish.blueprint === '' || wish.blueprint === blueprint) && hasLabels(parameters, wish.parameters);
}

export function fitsWish(cluster: Chosen, wish: ClaimWish, hostLabels: Labels): boolean {
  const isInPlace = wish.selectors.length === 0 || wish.selectors.some((selector) => isSelected(cluster, selector, hostLabels));
  return isOfKind(cluster, wish) && isInPlace;
}

export function hasLabels(labels: Labels, wanted: Labels | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
}
