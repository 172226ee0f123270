/**
 * What the demo plays: prompts and answers, with the parts marked that must not pass. Everyone and everything in it is
 * made up: example domains, fictional telephone numbers, published test cards and example accounts.
 */
import type { Span } from '../../contract/screening.ts';

/** A text and the parts of it that are secret; only the display knows about the marks. */
export interface MarkedText {
  readonly text: string;
  readonly secrets: readonly Span[];
}

export interface DemoExchange {
  readonly title: string;
  /** Which way the interesting text goes: the two columns show it before and after the proxy. */
  readonly shows: 'prompt' | 'answer';
  readonly prompt: MarkedText;
  readonly answer: MarkedText;
  /** The answer is the arguments of this tool. */
  readonly tool?: string;
}

/** Template tag: plain text around `${secret}` values. */
function mark(plain: TemplateStringsArray, ...secret: readonly string[]): MarkedText {
  let text = plain[0];
  const secrets: Span[] = [];
  secret.forEach((value, i) => {
    secrets.push({ start: text.length, end: text.length + value.length });
    text += value + plain[i + 1];
  });
  return { text, secrets };
}

export const EXCHANGES: readonly DemoExchange[] = [
  {
    title: 'An answer full of personal data, cut in the middle of every word',
    shows: 'answer',
    prompt: mark`Who looks after order 1182?`,
    answer: mark`Maria does. Write to ${'maria.kowalska@example.com'} or call ${'(202) 555-0143'}. The order was paid with card ${'4111 1111 1111 1111'}, and it left 14 Main Street at 9.30, so it should be with you on Tuesday.`,
  },
  {
    title: 'A tool call: the arguments are JSON, and stay valid JSON',
    shows: 'answer',
    prompt: mark`Send Ana her refund for order 1182.`,
    answer: mark`{"to": "${'ana@example.org'}", "account": "${'DE89 3704 0044 0532 0130 00'}", "amount": 49.9, "note": "ordered from ${'203.0.113.77'}"}`,
    tool: 'send_refund',
  },
  {
    title: 'A prompt that says too much: the model never learns it',
    shows: 'prompt',
    prompt: mark`Draft a letter to my bank. My social security number is ${'078-05-1120'}, and the script logs in with ${'sk-proj-Ex4mpleK3yEx4mpleK3yEx4mple'}.`,
    answer: mark`Of course. Here is a draft of your letter, with blanks where the numbers go.`,
  },
  {
    title: 'A prompt with a code name: stopped at the door',
    shows: 'prompt',
    prompt: mark`Summarise where ${'Operation Heron'} stands for the newsletter.`,
    answer: mark`You will not see this.`,
  },
  {
    title: 'An answer that gives the code name away: cut before it leaves',
    shows: 'answer',
    prompt: mark`What is the team working on?`,
    answer: mark`Mostly on small repairs. And then there is project ${'Bluebird'}, which will be announced in the spring and which nobody should know about.`,
  },
  {
    title: 'A prompt that a person is to decide: it waits, and nobody comes',
    shows: 'prompt',
    prompt: mark`Make a ${'wire transfer'} of 48,000 to Kingfisher Ltd. today.`,
    answer: mark`You will not see this either.`,
  },
  {
    title: 'Ordinary text: nothing to do, so nothing is done',
    shows: 'answer',
    prompt: mark`When did version 1.2.3 come out?`,
    answer: mark`Version 1.2.3 came out on 2024-01-15 at 10:30, after 3 of 5 reviewers agreed. It costs $1,299.00 and weighs 4.1 MB.`,
  },
];
