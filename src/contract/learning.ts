/**
 * The words of learning: a row is a text that people judged, with what they said of it; a version of the data set is the
 * rows that there were at one time, and is never altered. A row names its exchange; its text lies apart, sealed.
 */
import type { Direction } from './screening.ts';

export const ROW_SOURCES = ['verdict', 'appeal', 'annotation'] as const;
/** A verdict of the review queue; one after somebody had objected; labels of a residual-risk campaign. */
export type RowSource = (typeof ROW_SOURCES)[number];

export const ROW_PARTS = ['train', 'held_out'] as const;
/** Learnt from, or kept to measure by. */
export type RowPart = (typeof ROW_PARTS)[number];

/** What people said of a text. */
export interface LabelledText {
  readonly tenant_id: string;
  readonly request_id: string;
  readonly direction: Direction;
  /** 1 or 0 by category of the taxonomy; one that is not there is not known. */
  readonly labels: Readonly<Record<string, number>>;
  readonly source: RowSource;
  /** Trust in the labels: who agreed, and how sure they were. */
  readonly weight: number;
  /** Ids of what it follows from: the item or the task. */
  readonly from: readonly string[];
  readonly people: readonly string[];
  /** When it was decided. */
  readonly at: string;
  /** About when its exchange began, to find its text by. */
  readonly near: string;
  /** Where it was drawn: with which probability. */
  readonly inclusion_probability?: number;
}

/** Without its text. */
export interface DatasetRow extends LabelledText {
  readonly number: number;
  readonly lang: string;
  readonly part: RowPart;
  /** Rows of one group are alike, or of one session: they are in one part. */
  readonly group: number;
  /** SHA-256 of the sealed text, in hex. */
  readonly content: string;
}

export interface DatasetPerson {
  readonly id: string;
  readonly rows: number;
  readonly violations: number;
}

/** Why something that people said is no row. */
export const LEFT_OUT = ['consent', 'no_category', 'undecided', 'absent', 'erased', 'damaged', 'no_text'] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

/** What a version says of itself. */
export interface DatasetAbout {
  readonly taxonomy: { readonly version: number; readonly sha256: string };
  readonly software: string;
  /** Tenants that let it learn then. */
  readonly consent: readonly string[];
  readonly since: string;
  readonly rows: number;
  readonly parts: Readonly<Record<RowPart, number>>;
  readonly by_tenant: Readonly<Record<string, number>>;
  readonly by_source: Readonly<Record<string, number>>;
  /** Rows that say so of the category. */
  readonly by_category: Readonly<Record<string, { readonly violations: number; readonly safe: number }>>;
  readonly people: readonly DatasetPerson[];
  readonly left_out: Readonly<Partial<Record<LeftOut, number>>>;
}

export interface Dataset {
  readonly dataset_id: string;
  /** Of its rows and what it says of itself. */
  readonly sha256: string;
  readonly about: DatasetAbout;
  readonly created_at: string;
  readonly created_by: string;
}

/** What it has lost since: texts that were erased, and those that passed their retention or whose tenant no longer agrees. */
export interface DatasetLosses {
  readonly erased: number;
  readonly expired: number;
}

export const LEARNING_CHANGES = ['collected', 'exported', 'trained', 'offered'] as const;

/** Of the text of one direction of an exchange. */
export function contentIdOf(requestId: string, direction: Direction): string {
  return `text_${requestId}.${direction}`;
}
