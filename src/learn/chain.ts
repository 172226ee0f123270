/**
 * Learns the weights of a tagger: the log-likelihood of the true tags under a linear chain, by AdaGrad, sentence after
 * sentence in an order that follows from the seed. Same sentences and seed: the same weights. Pure.
 */
import { mayFollow } from '../model/tags.ts';

/** All sentences one after the other: features and true tag of each token. */
export interface Chains {
  /** Where each sentence begins among the tokens, and where the last ends. */
  readonly sentences: Int32Array;
  /** Where each token begins among the rows, and where the last ends. */
  readonly tokens: Float64Array;
  readonly rows: Int32Array;
  readonly tags: Uint8Array;
  /** Trust in each sentence. */
  readonly weights: Float32Array;
}

export interface ChainOptions {
  readonly buckets: number;
  readonly tagCount: number;
  readonly epochs: number;
  readonly learningRate: number;
  /** Draws weights to zero that little speaks for: so much is taken off the slope of each. */
  readonly restraint: number;
  readonly random: () => number;
  readonly progress: (done: number, all: number) => void;
}

/** What is learnt no better is not learnt again. */
const ERROR_MIN = 2e-3;

export class ChainLearner {
  readonly weights: Float32Array;
  /** Log-weights of tag after tag. */
  readonly steps: Float64Array;
  readonly #squares: Float32Array;
  readonly #stepSquares: Float64Array;
  readonly #chains: Chains;
  readonly #options: ChainOptions;
  readonly #emissions: Float64Array;
  readonly #forward: Float64Array;
  readonly #backward: Float64Array;
  readonly #stepWeights: Float64Array;
  readonly #stepErrors: Float64Array;

  constructor(chains: Chains, options: ChainOptions) {
    const { buckets, tagCount } = options;
    this.#chains = chains;
    this.#options = options;
    this.weights = new Float32Array(buckets * tagCount);
    this.#squares = new Float32Array(buckets * tagCount).fill(1e-2);
    this.steps = new Float64Array(tagCount * tagCount);
    this.#stepSquares = new Float64Array(tagCount * tagCount).fill(1);
    this.#stepWeights = new Float64Array(tagCount * tagCount);
    this.#stepErrors = new Float64Array(tagCount * tagCount);
    let longest = 0;
    for (let one = 0; one + 1 < chains.sentences.length; one += 1) longest = Math.max(longest, chains.sentences[one + 1] - chains.sentences[one]);
    this.#emissions = new Float64Array(longest * tagCount);
    this.#forward = new Float64Array((longest + 1) * tagCount);
    this.#backward = new Float64Array(longest * tagCount);
  }

  learn(): void {
    const { epochs, random, progress } = this.#options;
    const order = Int32Array.from({ length: this.#chains.sentences.length - 1 }, (_, at) => at);
    for (let epoch = 0; epoch < epochs; epoch += 1) {
      shuffle(order, random);
      for (let turn = 0; turn < order.length; turn += 1) {
        if ((turn & 1023) === 0) progress(epoch * order.length + turn, epochs * order.length);
        this.#sentence(order[turn], this.#options.learningRate * (1 - (0.9 * epoch) / epochs));
      }
    }
    progress(1, 1);
  }

  #sentence(sentence: number, rate: number): void {
    const { sentences, tokens, rows, tags, weights: trust } = this.#chains;
    const { tagCount, restraint } = this.#options;
    const [first, end] = [sentences[sentence], sentences[sentence + 1]];
    const count = end - first;
    if (count === 0) return;
    const weights = this.weights, squares = this.#squares;
    this.#chances(first, count);
    const forward = this.#forward, backward = this.#backward, emissions = this.#emissions, stepErrors = this.#stepErrors;
    stepErrors.fill(0);
    let wrong = false;
    for (let token = 0; token < count; token += 1) {
      const row = token * tagCount;
      let sum = 0;
      for (let tag = 0; tag < tagCount; tag += 1) sum += forward[row + tagCount + tag] * backward[row + tag];
      const truth = tags[first + token];
      const [from, to] = [tokens[first + token], tokens[first + token + 1]];
      for (let tag = 0; tag < tagCount; tag += 1) {
        const chance = (forward[row + tagCount + tag] * backward[row + tag]) / sum;
        const error = (chance - (tag === truth ? 1 : 0)) * trust[sentence];
        if (Math.abs(error) < ERROR_MIN) continue;
        wrong = true;
        for (let at = from; at < to; at += 1) {
          const place = rows[at] * tagCount + tag;
          const slope = error + restraint * weights[place];
          squares[place] += slope * slope;
          weights[place] -= (rate * slope) / Math.sqrt(squares[place]);
        }
      }
      let whole = 0;
      for (let tag = 0; tag < tagCount; tag += 1) for (let next = 0; next < tagCount; next += 1) whole += forward[row + tag] * this.#stepWeights[tag * tagCount + next] * emissions[row + next] * backward[row + next];
      const before = token === 0 ? 0 : tags[first + token - 1];
      for (let tag = 0; tag < tagCount; tag += 1) for (let next = 0; next < tagCount; next += 1) {
        stepErrors[tag * tagCount + next] += (forward[row + tag] * this.#stepWeights[tag * tagCount + next] * emissions[row + next] * backward[row + next]) / whole - (tag === before && next === truth ? 1 : 0);
      }
    }
    if (!wrong) return;
    for (let step = 0; step < stepErrors.length; step += 1) {
      const slope = stepErrors[step] * trust[sentence];
      if (slope === 0) continue;
      this.#stepSquares[step] += slope * slope;
      this.steps[step] -= (rate * slope) / Math.sqrt(this.#stepSquares[step]);
    }
  }

  /** Fills `forward` (one row more: the beginning, where nothing was) and `backward` of one sentence. */
  #chances(first: number, count: number): void {
    const { tokens, rows } = this.#chains;
    const { tagCount } = this.#options;
    const weights = this.weights, emissions = this.#emissions, forward = this.#forward, backward = this.#backward, steps = this.#stepWeights;
    for (let tag = 0; tag < tagCount; tag += 1) for (let next = 0; next < tagCount; next += 1) steps[tag * tagCount + next] = mayFollow(tag, next) ? Math.exp(this.steps[tag * tagCount + next]) : 0;
    for (let token = 0; token < count; token += 1) {
      const row = token * tagCount;
      for (let tag = 0; tag < tagCount; tag += 1) emissions[row + tag] = 0;
      for (let at = tokens[first + token]; at < tokens[first + token + 1]; at += 1) {
        const place = rows[at] * tagCount;
        for (let tag = 0; tag < tagCount; tag += 1) emissions[row + tag] += weights[place + tag];
      }
      let most = -Infinity;
      for (let tag = 0; tag < tagCount; tag += 1) most = Math.max(most, emissions[row + tag]);
      for (let tag = 0; tag < tagCount; tag += 1) emissions[row + tag] = Math.exp(emissions[row + tag] - most);
    }
    for (let tag = 0; tag < tagCount; tag += 1) forward[tag] = tag === 0 ? 1 : 0;
    for (let token = 0; token < count; token += 1) {
      const row = token * tagCount;
      let sum = 0;
      for (let next = 0; next < tagCount; next += 1) {
        let weight = 0;
        for (let tag = 0; tag < tagCount; tag += 1) weight += forward[row + tag] * steps[tag * tagCount + next];
        sum += forward[row + tagCount + next] = weight * emissions[row + next];
      }
      for (let next = 0; next < tagCount; next += 1) forward[row + tagCount + next] /= sum;
    }
    const last = (count - 1) * tagCount;
    for (let tag = 0; tag < tagCount; tag += 1) backward[last + tag] = 1;
    for (let token = count - 2; token >= 0; token -= 1) {
      const row = token * tagCount;
      let sum = 0;
      for (let tag = 0; tag < tagCount; tag += 1) {
        let weight = 0;
        for (let next = 0; next < tagCount; next += 1) weight += steps[tag * tagCount + next] * emissions[row + tagCount + next] * backward[row + tagCount + next];
        sum += backward[row + tag] = weight;
      }
      for (let tag = 0; tag < tagCount; tag += 1) backward[row + tag] /= sum;
    }
  }
}

function shuffle(order: Int32Array, random: () => number): void {
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
}
