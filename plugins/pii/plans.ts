/**
 * Telephone number plans: what libphonenumber says of the digits of a number, with its rules read from its metadata once
 * and kept as compiled expressions, since the library compiles them anew for every number. Its answers are the same for
 * digits alone; the tests hold it to that.
 *
 * Pure; a plan is made when a number of its calling code is first seen.
 */

/** A plan as the library writes it, in the places that are read here. Rules that a country has not are 0 or missing. */
type PlanMetadata = readonly [
  callingCode: string, idd: string | 0 | undefined, pattern: string, lengths: readonly number[], formats: unknown, prefix: string | 0 | undefined, prefixRule: unknown,
  prefixForParsing: string | 0 | undefined, transform: string | 0 | undefined, prefixOptional: unknown, leadingDigits: string | 0 | undefined, types: readonly (TypeMetadata | 0)[] | 0 | undefined,
];
type TypeMetadata = readonly [pattern: string, lengths?: readonly number[]];

/** The library's metadata, version 4. */
export interface PlansMetadata {
  readonly country_calling_codes: Readonly<Record<string, readonly string[]>>;
  readonly countries: Readonly<Record<string, unknown>>;
  readonly nonGeographic?: Readonly<Record<string, unknown>>;
}

interface Plan {
  readonly callingCode: string;
  readonly pattern: RegExp;
  readonly lengths: readonly number[];
  /** What is dialled before a national number, and what the library puts in its place. */
  readonly prefix: RegExp | undefined;
  readonly transform: string | undefined;
  readonly leadingDigits: RegExp | undefined;
  /** By kind of number; undefined where the plan does not tell kinds apart. */
  readonly types: readonly { readonly pattern: RegExp; readonly lengths: readonly number[] }[] | undefined;
  /** What is dialled before a number of another country. */
  readonly abroad: RegExp | undefined;
}

/** The plans that share a calling code; the first is the one whose rules hold before the country is known. */
interface Zone {
  readonly main: Plan;
  /** Without those of numbers that belong to no country. */
  readonly countries: readonly Plan[];
}

export type PhoneAnswer = 'valid' | 'possible' | 'neither';

const NATIONAL_DIGITS_MIN = 2;
const NATIONAL_DIGITS_MAX = 17;
const CALLING_CODE_DIGITS_MAX = 3;

export class NumberPlans {
  readonly #metadata: PlansMetadata;
  readonly #zones = new Map<string, Zone | undefined>();
  readonly #plans = new Map<string, Plan>();

  constructor(metadata: PlansMetadata) {
    this.#metadata = metadata;
  }

  /** `digits`: a number as after `+`, the calling code first, ASCII digits only. */
  international(digits: string): PhoneAnswer {
    for (let length = 1; length <= CALLING_CODE_DIGITS_MAX; length += 1) {
      const zone = this.#zone(digits.slice(0, length));
      if (zone !== undefined) return answerOf(zone, zone.main, digits.slice(length));
    }
    return 'neither';
  }

  /** `digits` as dialled inside `country`, with or without its prefix. Undefined where they may begin another country's number. */
  national(country: string, digits: string): PhoneAnswer | undefined {
    const plan = this.#plan(country);
    if (digits.startsWith(plan.callingCode) || plan.abroad?.test(digits) === true) return undefined;
    return answerOf(this.#zone(plan.callingCode)!, plan, digits);
  }

  #zone(callingCode: string): Zone | undefined {
    if (this.#zones.has(callingCode)) return this.#zones.get(callingCode);
    const countries = this.#metadata.country_calling_codes[callingCode];
    const elsewhere = this.#metadata.nonGeographic?.[callingCode];
    let zone: Zone | undefined;
    if (countries !== undefined) {
      const plans = countries.map((country) => this.#plan(country));
      zone = { main: plans[0]!, countries: plans };
    } else if (elsewhere !== undefined) zone = { main: readPlan(elsewhere as PlanMetadata), countries: [] };
    this.#zones.set(callingCode, zone);
    return zone;
  }

  #plan(country: string): Plan {
    let plan = this.#plans.get(country);
    if (plan === undefined) this.#plans.set(country, (plan = readPlan(this.#metadata.countries[country] as PlanMetadata)));
    return plan;
  }
}

const entirely = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);
const fromStart = (pattern: string | 0 | undefined): RegExp | undefined => (pattern ? new RegExp(`^(?:${pattern})`) : undefined);

function readPlan([callingCode, idd, pattern, lengths, , prefix, , prefixForParsing, transform, , leadingDigits, types]: PlanMetadata): Plan {
  return {
    callingCode, pattern: entirely(pattern), lengths,
    prefix: fromStart(prefixForParsing || prefix),
    transform: transform || undefined,
    leadingDigits: fromStart(leadingDigits),
    types: types ? types.flatMap((type) => (type && type[0] !== '' ? [{ pattern: entirely(type[0]), lengths: type[1] ?? lengths }] : [])) : undefined,
    abroad: fromStart(String(idd)),
  };
}

/** `plan`: the one whose prefixes count. */
function answerOf(zone: Zone, plan: Plan, digits: string): PhoneAnswer {
  const national = withoutPrefix(zone, plan, digits);
  if (national.length < NATIONAL_DIGITS_MIN || national.length > NATIONAL_DIGITS_MAX) return 'neither';
  const country = countryOf(zone, national) ?? plan;
  const valid = country.types === undefined ? country.pattern.test(national) : hasType(country, national);
  return valid ? 'valid' : country.lengths.includes(national.length) ? 'possible' : 'neither';
}

/** A prefix counts where what is left can be a number, and not where only the whole is one. */
function withoutPrefix(zone: Zone, plan: Plan, digits: string): string {
  const found = plan.prefix?.exec(digits);
  if (!plan.prefix || !found) return digits;
  const captured = found.length > 1 && found[found.length - 1];
  const national = plan.transform !== undefined && captured ? digits.replace(plan.prefix, plan.transform) : digits.slice(found[0].length);
  if (national === digits || (plan.pattern.test(digits) && !plan.pattern.test(national))) return digits;
  const { lengths } = countryOf(zone, national) ?? plan;
  return lengths.includes(national.length) || national.length > lengths[lengths.length - 1]! ? national : digits;
}

function countryOf({ countries }: Zone, national: string): Plan | undefined {
  if (countries.length < 2) return countries[0];
  return countries.find((plan) => (plan.leadingDigits === undefined ? plan.types !== undefined && hasType(plan, national) : plan.leadingDigits.test(national)));
}

function hasType({ pattern, types }: Plan, national: string): boolean {
  return pattern.test(national) && types!.some((type) => type.lengths.includes(national.length) && type.pattern.test(national));
}
