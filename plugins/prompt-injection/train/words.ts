/**
 * Classes of words that attacks, and what looks like them, are made of. What follows what, and what stands beside what,
 * tells them apart better than the words do (src/model/features.ts).
 */
import { phraseHash } from '#model/features.ts';

const CLASSES: Readonly<Record<string, string>> = {
  override: 'ignore ignoring ignored ignores disregard disregarding forget forgetting override overriding overrule bypass bypassing discard dismiss neglect abandon erase unlearn overwrite nullify circumvent disobey violate pay_no_attention set_aside do_not_follow stop_following no_longer_follow vergiss vergesse vergessen ignoriere ignorieren missachte ignora olvida oublie ignorez oubliez esqueça dimentica',
  reveal: 'reveal print repeat show display disclose leak expose recite echo dump tell_me show_me give_me write_out print_out share quote summarise summarize verbatim word_for_word zeige wiederhole muestra montre répète',
  instructions: 'instructions instruction prompt prompts directives directive commands command orders guidance directions assignment assignments system_prompt system_message initial_prompt pre-prompt context_window anweisungen anweisung befehle aufgaben instruktionen instrucciones consignes instructions_above istruzioni instruções',
  before: 'previous previously prior above earlier preceding initial original before foregoing aforementioned beforehand so_far at_the_start up_to_now vorherigen vorigen bisherigen obigen bisher anteriores previas précédentes precedenti',
  rules: 'rules restrictions restriction guidelines policies policy limits limitations filters filter ethics ethical moral morals morality censorship boundaries constraints norms principles safeguards guardrails safety legal legality laws terms_of_service regeln',
  model: 'chatgpt gpt gpt-4 openai ai chatbot assistant language_model model models bot llm anthropic claude bard gemini dan',
  system: 'system developer admin administrator root sudo mode debug simulator simulate terminal machine virtual enabled activated activate enable',
  persona: 'act pretend roleplay role-play role character persona impersonate imagine act_as you_are_now become simulate stay_in_character break_character in_character play_the_role du_bist_jetzt',
  free: 'unrestricted unfiltered uncensored unlimited unethical amoral immoral illegal unbound free freed freely liberated without no none regardless jailbreak jailbroken do_anything_now anything_now whatever everything anything evil',
  refuse: 'refuse refusal refuses reject decline cannot can\'t apologize apologise sorry disclaimer disclaimers warning warnings lecture never must comply obey obeys always unable not_allowed allowed forbidden',
  now: 'from_now_on now instead new_task new_instruction new_instructions starting_now henceforth from_this_point ab_jetzt stattdessen only just nur',
  hidden: 'secret secrets hidden confidential password passwords internal private credentials token key api_key passwort geheim',
  send: 'send forward email e-mail upload post transfer execute run delete exfiltrate append attach url link http https curl',
  you: 'you your you\'re yourself you_are you_will you_must du deine dein',
  every: 'all any every each whole entire both those these alle todas toutes',
  told: 'said told given written wrote stated mentioned received instructed programmed gesagt gesagte',
  say: 'say says answer answers respond reply replies tell speak write generate create output sage schreibe schreib antworte antworten di dis',
  stop: 'stop attention hey okay urgent important wait please bitte',
  asking: 'how_do_i how_can_i how_to what_is what_are can_i should_i why_does why_do explain difference difference_between example tips is_it where_can wie was warum',
  craft: 'python java code function file method class css git linux windows error excel sql compiler bash script browser software settings table column test library variable',
  about: 'injection attack attacks attacker detect defend defence defense prevent protect security vulnerability best_practices history story novel essay article means meaning',
};

export const CLASS_NAMES = Object.keys(CLASSES);

/** Hash and class of each entry in turn. */
export function classEntries(): Int32Array {
  return Int32Array.from(CLASS_NAMES.flatMap((name, one) => CLASSES[name]!.split(' ').flatMap((words) => [phraseHash(asRead(words)), one])));
}

/** As the features read it: marks other than letters end a word. */
function asRead(words: string): string {
  return words.replaceAll(/[_'-]/g, ' ').split(' ').slice(0, 3).join(' ');
}
