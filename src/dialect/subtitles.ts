/**
 * Where the spoken text stands in SubRip (srt) and WebVTT: every line that is not a number of a cue, a time, or WebVTT's
 * name. Cues break sentences wherever a pause is, so their lines are one text, with a space between; that
 * no word goes on in the next cue is taken for granted. Pure.
 */

/** A line of text, at `[start, end)` of the whole. */
export interface SubtitleLine {
  readonly start: number;
  readonly end: number;
}

const TIME = String.raw`(?:\d{1,4}:)?\d\d:\d\d[.,]\d{3}`;
const TIMING = new RegExp(`^${TIME}[ \\t]+-->[ \\t]+${TIME}(?:[ \\t]+(?:align|line|position|region|size|vertical):[\\w%.,-]{1,16})*[ \\t]*$`);
const NUMBER = /^\d{1,6}[ \t]*$/;
const HEADER = /^\uFEFF?WEBVTT$/;

/** Undefined where no line is a time: the text is no subtitles. */
export function subtitleLines(text: string): readonly SubtitleLine[] | undefined {
  const lines = [...text.matchAll(/[^\r\n]+/g)];
  const isTiming = lines.map(([line]) => TIMING.test(line));
  if (!isTiming.includes(true)) return undefined;
  return lines.flatMap(({ 0: line, index }, i) => {
    const structure = isTiming[i] === true || (isTiming[i + 1] === true && NUMBER.test(line)) || HEADER.test(line);
    return structure ? [] : [{ start: index, end: index + line.length }];
  });
}

/** One cue that says `message`. */
export function subtitlesOf(format: 'srt' | 'vtt', message: string): string {
  const line = message.replace(/\s*[\r\n]\s*/g, ' ');
  return format === 'srt' ? `1\n00:00:00,000 --> 00:00:05,000\n${line}\n\n` : `WEBVTT\n\n00:00:00.000 --> 00:00:05.000\n${line}\n\n`;
}
