import type { ComponentType, ReactElement, RefAttributes } from 'react';
import { Virtualizer, type VirtualizerHandle, type VirtualizerProps } from 'virtua';

export type { CacheSnapshot, CustomItemComponentProps, VirtualizerHandle } from 'virtua';

/**
 * The library's list, without its other form: rows as children make an element of each row there is, at each change. With
 * 100,000 rows an append then took 202 ms instead of some 5. Here rows are data, made one by one as they come into view.
 */
export interface VirtualListProps<T> extends Omit<VirtualizerProps<T>, 'data' | 'children'> {
  readonly data: ArrayLike<T>;
  readonly children: (row: T, index: number) => ReactElement;
}

export const VirtualList = Virtualizer as ComponentType as <T>(props: VirtualListProps<T> & RefAttributes<VirtualizerHandle>) => ReactElement;
