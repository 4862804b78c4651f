export { centerSeparationIndex } from './centerSeparationIndex';
export type { CenterSeparationIndexOptions, CenterSeparationIndexResult, RowRange } from './centerSeparationIndex';
export { centerSeparationIndexOfColumns, separationIndexOfColumns } from './columnStream';
export type {
  CenterSeparationIndexOfColumnsOptions,
  CenterSeparationIndexOfColumnsResult,
  ColumnBlock,
  ColumnSource,
  ColumnStreamOptions,
  SeparationIndexOfColumnsOptions,
  SeparationIndexOfColumnsResult,
} from './columnStream';
export { crossSeparationIndex } from './crossSeparationIndex';
export type { CrossSeparationIndexResult, ReferenceSet } from './crossSeparationIndex';
export { filterSeparation, subsetSeparation } from './filterSeparation';
export type { FilterSeparationResult, SubsetSeparationOptions, SubsetSeparationResult } from './filterSeparation';
export type { FilterOptions } from './filterRequest';
export type { ElementType, FeatureArray, FeatureLayout, HalfArray } from './matrix';
export type { Backend, BackendChoice, IndexKind, LabelledOptions, NeighbourLists, NeighbourOptions } from './options';
export { selectFilters } from './selectFilters';
export type { SelectFiltersOptions, SelectFiltersResult, SelectionStrategy } from './selectFilters';
export { separationIndex } from './separationIndex';
export type { SeparationIndexOptions, SeparationIndexResult } from './separationIndex';
export { mergeNeighbours, nearestNeighbours, scoreNeighbours } from './shards';
export type {
  MergeNeighboursOptions,
  NearestNeighboursOptions,
  NumberedRows,
  ScoreNeighboursOptions,
  ScoreNeighboursResult,
} from './shards';
export { smoothnessIndex } from './smoothnessIndex';
export type { SmoothnessIndexOptions, SmoothnessIndexResult } from './smoothnessIndex';
