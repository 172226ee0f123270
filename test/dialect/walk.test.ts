/** The walk that all dialects share: what a text of an answer is called where it stands, and where it is a name. */
import t from 'tap';
import type { Piece } from '../../src/dialect/dialect.ts';
import { newestTurn, isAnswer, opaqueFinder, readWhole } from '../../src/dialect/walk.ts';

t.test('texts below a value are pieces of their own, names too', async (t) => {
  const pieces: Piece[] = [];
  readWhole({ a: ['x', 'y'], names: { 'made up': 'z' } }, ['body'], 'body', '0/rest', { exempt: { 'body.a[]': 'id' }, named: ['body.names'] }, pieces);
  t.same(pieces.map(({ key, carrier, text, inKey }) => [key, carrier, text, inKey === true]), [
    ['0/rest/names/made up/*', 'body.names.*', 'made up', true],
    ['0/rest/names/made up', 'body.names.*', 'z', false],
  ]);
  const one: Piece[] = [];
  readWhole('a text', ['error'], 'error', '0/error', { exempt: {}, json: /^error$/ }, one);
  t.same(one.map(({ key, kind, whole }) => [key, kind, whole]), [['0/error', 'json', true]]);
});

t.test('the newest turn begins after the last answer, one to be continued aside', async (t) => {
  const turns = (roles: string): number => newestTurn([...roles].map((role) => ({ role: role === 'a' ? 'assistant' : 'user' })), isAnswer);
  t.same([turns(''), turns('u'), turns('ua'), turns('uau'), turns('uaua'), turns('uaaut'), turns('a')], [0, 0, 0, 2, 2, 3, 0]);
  t.notOk(isAnswer('assistant'));
});

t.test('what is opaque at the top of an event is found, and nothing is where the event is no object', async (t) => {
  const find = opaqueFinder({ exempt: {}, opaqueWhen: { data: () => 'image' } });
  t.same([find({ data: 'QUJD' }, '{"data":"QUJD"}'), find({ data: 7 }, '{"data":7}'), find('data', '"data"'), find({ other: 'x' }, '{"other":"x"}')].map((found) => found.length), [1, 0, 0, 0]);
});
