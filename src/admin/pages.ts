/**
 * What pages for browsers are given on the admin port: the routes of the API by name, in the caller's own roles, and
 * nothing that the API would not answer them. A page names the route that it stands on, and is for the roles of that
 * route; a form is a POST that carries the proof of its session in a field. Nothing is asked by HTTP.
 */
import { PEOPLE_ROLES, type Actor } from '../contract/people.ts';
import { fault, type BoundRoute, type DeskAnswer, type Visit } from './desk.ts';

/** A page, or what a form of one is sent to. */
export interface Page {
  readonly method: 'GET' | 'POST';
  /** With `:name` for what varies. */
  readonly path: string;
  readonly meaning: string;
  /** The route of the API whose roles see it; `open`: everybody; `people`: who is logged in. */
  readonly needs: string;
  /** Of a POST. Default 64 KiB. */
  readonly bytesMax?: number;
  readonly run: (api: Api, request: PageRequest) => Promise<DeskAnswer>;
}

export interface PageRequest {
  /** What stands in the path, by name. */
  readonly names: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Of a POST. */
  readonly form: URLSearchParams;
  /** With all of their roles. On an open page nobody. */
  readonly actor: Actor;
  readonly visit: Visit;
  /** What a form's field `csrf` has to hold; empty without a session. */
  readonly csrf: string;
}

export interface Pages {
  readonly routes: readonly Page[];
  /** A page that leads on to the path, as a page of ours. */
  again(path: string): DeskAnswer;
  /** A login through the provider that came to nothing, with the way to begin again. */
  loginFailed(answer: DeskAnswer): DeskAnswer;
  /** What was refused, for people. `known` is absent where nobody is known. */
  refused(answer: DeskAnswer, path: string, known?: { readonly api: Api; readonly request: PageRequest }): DeskAnswer;
}

export interface Asked {
  readonly names?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: object | string;
}

/** The routes of the API, asked from inside. */
export class Api {
  readonly #routes: ReadonlyMap<string, BoundRoute>;

  constructor(bound: readonly BoundRoute[]) {
    this.#routes = new Map(bound.map((one) => [one.route.name, one]));
  }

  /** Whether the API has it for this caller. */
  may({ roles }: Pick<Actor, 'roles'>, name: string): boolean {
    if (name === 'open') return true;
    const access = name === 'people' ? PEOPLE_ROLES : this.#routes.get(name)?.route.access;
    return access === 'open' || (access !== undefined && roles.some((role) => access.includes(role)));
  }

  /** As the API answers the same caller. Throws RangeError for a route that there is not. */
  async call(name: string, { actor, visit }: Pick<PageRequest, 'actor' | 'visit'>, { names = {}, query = {}, body }: Asked = {}): Promise<DeskAnswer> {
    const bound = this.#routes.get(name);
    if (bound === undefined) throw new RangeError(`the API has no route ${name}`);
    const { access } = bound.route;
    if (!this.may(actor, name)) return { status: 403, body: fault('forbidden', `this asks for the role ${access === 'open' ? '' : access.join(' or ')}; ${actor.name} has ${actor.roles.join(' and ')}`) };
    const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
    return bound.answer({
      id: names['id'] ?? '', names, query: given, text: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body), isJson: typeof body === 'object',
      actor: access === 'open' ? actor : { ...actor, roles: actor.roles.filter((role) => access.includes(role)) }, author: actor.name, visit,
    });
  }
}
