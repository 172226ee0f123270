/** What a model card says of a classifier, ready to be shown: as it is written, nothing reckoned. */

export interface CardTable {
  readonly heading: string;
  /** What leads to the table; may be empty. */
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface ModelCard {
  readonly title: string;
  readonly about: string;
  /** Tables of what was measured. */
  readonly measured: readonly CardTable[];
}
