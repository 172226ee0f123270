/**
 * Identity and tax numbers by country: for each, the digits or characters as its authority issues them, with the check
 * digits and dates inside. Each function takes the number without separators, in upper case. Pure.
 *
 * They say that a number can exist, not that it was issued.
 */
import { passesLuhn, passesMod11_10, passesVerhoeff, weighted } from './checksums.ts';

type Check = (number: string) => boolean;

const digit = (text: string, at: number): number => text.charCodeAt(at < 0 ? text.length + at : at) - 48;
const isOneDigit = (text: string): boolean => /^(.)\1*$/.test(text);
const range = (from: number, to: number): readonly number[] => Array.from({ length: from - to + 1 }, (_, i) => from - i);

const DAYS: readonly number[] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A day that some year has; the 29th of February counts. `month` and `day` as written. */
export function isDay(month: number, day: number): boolean {
  return day >= 1 && day <= (DAYS[month - 1] ?? 0);
}

const NO_OFFSET: readonly number[] = [0];

/** `yymmdd` read at `at`, after `offsets` that encode the century or the sex are taken off the month. */
function hasDate(text: string, at: number, offsets: readonly number[] = NO_OFFSET): boolean {
  const month = Number(text.slice(at + 2, at + 4));
  const day = Number(text.slice(at + 4, at + 6));
  for (const offset of offsets) if (isDay(month - offset, day)) return true;
  return false;
}

const hasDayFirst = (text: string): boolean => isDay(Number(text.slice(2, 4)), Number(text.slice(0, 2)));

/** Weighted sum modulo 11; the check digit is 11 minus the remainder, 11 standing for 0, and 10 for what `ten` says. */
function mod11Check(number: string, weights: readonly number[], ten: number | undefined, at = weights.length): boolean {
  const check = (11 - (weighted(number, weights) % 11)) % 11;
  return (check === 10 ? ten : check) === digit(number, at);
}

const CPF = [range(10, 2), range(11, 2)] as const;
const CNPJ = [[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]] as const;
const CURP = '0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ';
const DNI = 'TRWAGMYFPDXBNJZSQVHLCKE';
const HETU = '0123456789ABCDEFHJKLMNPRSTUVWXY';
const PPS = 'WABCDEFGHIJKLMNOPQRSTUV';
/** Values of characters in odd places of a codice fiscale, 0–9 then A–Z; digits and their letters share them. */
const CODICE_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
const NRIC: Readonly<Record<string, readonly [offset: number, letters: string]>> = {
  S: [0, 'JZIHGFEDCBA'], T: [4, 'JZIHGFEDCBA'], F: [0, 'XWUTRQPNMLK'], G: [4, 'XWUTRQPNMLK'], M: [3, 'XWUTRQPNJLK'],
};
const TAIWAN_LETTERS = 'ABCDEFGHJKLMNPQRSTUVXYWZIO';

const FROM_13_TO_2 = range(13, 2);
const FROM_10_TO_2 = range(10, 2);
const FROM_9_TO_2 = range(9, 2);
const FROM_9_TO_1 = range(9, 1);
const FROM_8_TO_2 = range(8, 2);

/** Two check digits, the second over the first; both modulo 11 with 10 written as 0. */
const hasTwoChecks = (number: string, [first, second]: readonly [readonly number[], readonly number[]]): boolean =>
  mod11Check(number, first, 0) && mod11Check(number, second, 0) && !isOneDigit(number);

export const NATIONAL_NUMBERS: Readonly<Record<string, Check>> = {
  /** Area 900–999 with the groups that the IRS uses. */
  'us-itin': (n) => { const group = Number(n.slice(3, 5)); return n[0] === '9' && ((group >= 50 && group <= 65) || (group >= 70 && group <= 99 && group !== 89 && group !== 93)); },
  /** Prefix letters as HMRC allocates them. */
  'gb-nino': (n) => /^(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]$/.test(n),
  'gb-nhs': (n) => !isOneDigit(n) && mod11Check(n, FROM_10_TO_2, undefined),
  /** One digit of the first ten stands there two or three times, all others once; ISO 7064 MOD 11,10. */
  'de-steuer-id': (n) => {
    const counts = [...'0123456789'].map((d) => n.slice(0, 10).split(d).length - 1).filter((count) => count > 1);
    return n[0] !== '0' && counts.length === 1 && counts[0]! <= 3 && passesMod11_10(n);
  },
  /** Thirteen characters and 97 minus their remainder; Corsica's 2A and 2B count as 19 and 18. */
  'fr-nir': (n) => {
    const month = Number(n.slice(3, 5));
    if ((month < 1 || month > 12) && (month < 20 || month > 42) && (month < 50 || month > 99)) return false;
    return 97 - (Number(n.slice(0, 13).replace('2A', '19').replace('2B', '18')) % 97) === Number(n.slice(13));
  },
  'es-dni': (n) => DNI[Number(n.slice(0, 8)) % 23] === n[8],
  'es-nie': (n) => DNI[Number(`${'XYZ'.indexOf(n[0]!)}${n.slice(1, 8)}`) % 23] === n[8],
  'it-codice-fiscale': (n) => {
    const sum = [...n.slice(0, 15)].reduce((total, character, i) => {
      const value = parseInt(character, 36);
      return total + (i % 2 === 0 ? CODICE_ODD[value]! : value > 9 ? value - 10 : value);
    }, 0);
    return n.charCodeAt(15) - 65 === sum % 26;
  },
  'nl-bsn': (n) => !isOneDigit(n) && weighted(n, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0,
  /** 97 minus the remainder of the first nine digits; a 2 goes before them for those born since 2000. */
  'be-rijksregister': (n) => hasDate(n, 0, [0, 20, 40]) && [n.slice(0, 9), `2${n.slice(0, 9)}`].some((number) => 97 - (Number(number) % 97) === Number(n.slice(9))),
  'pl-pesel': (n) => hasDate(n, 0, [0, 20, 40, 60, 80]) && (weighted(n, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) + digit(n, 10)) % 10 === 0,
  /** Luhn over the last ten digits; a coordination number adds 60 to the day. */
  'se-personnummer': (n) => { const ten = n.slice(-10); const day = Number(ten.slice(4, 6)); return isDay(Number(ten.slice(2, 4)), day > 60 ? day - 60 : day) && passesLuhn(ten); },
  /** Two check digits modulo 11; a D number adds 40 to the day. */
  'no-fodselsnummer': (n) => {
    const day = Number(n.slice(0, 2));
    return isDay(Number(n.slice(2, 4)), day > 40 ? day - 40 : day) && mod11Check(n, [3, 7, 6, 1, 8, 9, 4, 5, 2], undefined) && mod11Check(n, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2], undefined);
  },
  /** A date and four digits; Denmark gave up its check digit in 2007. */
  'dk-cpr': hasDayFirst,
  'fi-hetu': (n) => hasDayFirst(n) && HETU[Number(n.slice(0, 6) + n.slice(-4, -1)) % 31] === n.at(-1),
  'pt-nif': (n) => /[1235689]/.test(n[0]!) && mod11Check(n, FROM_9_TO_2, 0),
  'at-svnr': (n) => n[0] !== '0' && isDay(Number(n.slice(6, 8)), Number(n.slice(4, 6))) && weighted(n, [3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 === digit(n, 3),
  /** EAN-13 behind the country's 756. */
  'ch-ahv': (n) => n.startsWith('756') && (weighted(n, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) + digit(n, 12)) % 10 === 0,
  'ie-pps': (n) => PPS[(weighted(n, FROM_8_TO_2) + 9 * (n.length > 8 ? PPS.indexOf(n[8]!) : 0)) % 23] === n[7],
  /** Czech and Slovak: divisible by 11; a woman's month is 50 higher, 20 more where numbers ran out. */
  'cz-rodne-cislo': (n) => hasDate(n, 0, [0, 20, 50, 70]) && Number(n) % 11 === 0,
  'ro-cnp': (n) => {
    const rest = weighted(n, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    return /[1-8]/.test(n[0]!) && hasDate(n, 1) && (rest === 10 ? 1 : rest) === digit(n, 12);
  },
  'bg-egn': (n) => hasDate(n, 0, [0, 20, 40]) && (weighted(n, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10 === digit(n, 9),
  'gr-amka': (n) => hasDayFirst(n) && passesLuhn(n),
  'hr-oib': (n) => passesMod11_10(n) && !isOneDigit(n),
  /** Estonia and Lithuania: a second row of weights where the first leaves 10. */
  'ee-isikukood': (n) => {
    const first = weighted(n, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    const check = first < 10 ? first : (weighted(n, [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11) % 10;
    return /[1-8]/.test(n[0]!) && hasDate(n, 1) && check === digit(n, 10);
  },
  /** JMBG and EMŠO of the states that were Yugoslavia. */
  'yu-jmbg': (n) => hasDayFirst(n) && mod11Check(n, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2], undefined),
  'ru-snils': (n) => !isOneDigit(n.slice(0, 9)) && (weighted(n, FROM_9_TO_1) % 101) % 100 === Number(n.slice(9)),
  'tr-tckn': (n) => {
    const sum = (places: readonly number[]): number => places.reduce((total, at) => total + digit(n, at), 0);
    const tenth = (sum([0, 2, 4, 6, 8]) * 7 - sum([1, 3, 5, 7]) + 100) % 10;
    return n[0] !== '0' && tenth === digit(n, 9) && sum([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) % 10 === digit(n, 10);
  },
  'br-cpf': (n) => hasTwoChecks(n, CPF),
  'br-cnpj': (n) => hasTwoChecks(n, CNPJ),
  'ar-cuil': (n) => /^(?:2[03-7]|3[034])/.test(n) && mod11Check(n, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 9),
  'cl-rut': (n) => {
    const body = n.slice(0, -1);
    const sum = [...body].reverse().reduce((total, d, i) => total + Number(d) * ((i % 6) + 2), 0);
    return !isOneDigit(body) && '0K987654321'[sum % 11] === n.at(-1);
  },
  'mx-curp': (n) => {
    const sum = [...n.slice(0, 17)].reduce((total, character, i) => total + CURP.indexOf(character) * (18 - i), 0);
    return hasDate(n, 4) && (sum + digit(n, 17)) % 10 === 0;
  },
  'in-aadhaar': (n) => /[2-9]/.test(n[0]!) && passesVerhoeff(n) && !isOneDigit(n),
  /** The fourth letter says what kind of taxpayer. */
  'in-pan': (n) => /^[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]$/.test(n) && n.slice(5, 9) !== '0000',
  'cn-resident-id': (n) => hasDate(n, 8) && '10X98765432'[weighted(n, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11] === n[17],
  /** A date and the digit of century and sex; what follows is random since 2020. */
  'kr-rrn': (n) => hasDate(n, 0) && /[1-8]/.test(n[6]!),
  'jp-my-number': (n) => { const rest = weighted(n, [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11; return (rest < 2 ? 0 : 11 - rest) === digit(n, 11) && !isOneDigit(n); },
  'sg-nric': (n) => { const [offset, letters] = NRIC[n[0]!]!; return letters[(weighted(n, [2, 7, 6, 5, 4, 3, 2], 1) + offset) % 11] === n[8]; },
  /** One or two letters, six digits and a check character; a missing first letter counts as a space, 36. */
  'hk-id': (n) => {
    const padded = n.padStart(9, ' ');
    const sum = [...padded.slice(0, 8)].reduce((total, character, i) => total + (character === ' ' ? 36 : parseInt(character, 36)) * (9 - i), 0);
    return (sum + (n.at(-1) === 'A' ? 10 : digit(n, -1))) % 11 === 0;
  },
  'tw-national-id': (n) => { const letter = TAIWAN_LETTERS.indexOf(n[0]!) + 10; return (Math.floor(letter / 10) + (letter % 10) * 9 + weighted(n, [8, 7, 6, 5, 4, 3, 2, 1, 1], 1)) % 10 === 0; },
  'th-national-id': (n) => n[0] !== '0' && (11 - (weighted(n, FROM_13_TO_2) % 11)) % 10 === digit(n, 12),
  'au-tfn': (n) => weighted(n, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0 && !isOneDigit(n),
  'au-medicare': (n) => /[2-6]/.test(n[0]!) && weighted(n, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === digit(n, 8),
  /** Eight digits are read with a zero before them; a second row of weights where the first leaves 10. */
  'nz-ird': (n) => {
    const number = n.padStart(9, '0');
    const check = (weights: readonly number[]): number => (11 - (weighted(number, weights) % 11)) % 11;
    const first = check([3, 2, 7, 6, 5, 4, 3, 2]);
    return Number(number) >= 10_000_000 && (first === 10 ? check([7, 4, 3, 2, 5, 2, 7, 6]) : first) === digit(number, 8);
  },
  'za-id': (n) => hasDate(n, 0) && passesLuhn(n),
  'ca-sin': (n) => !/^[08]/.test(n) && passesLuhn(n),
  'il-id': (n) => passesLuhn(n) && !isOneDigit(n),
};
