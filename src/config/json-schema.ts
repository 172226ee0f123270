/**
 * Shapes as JSON Schema (draft 7), for editors that complete and check while one types. It says what a single key can be
 * wrong about; what only several keys together can be wrong about, `weir check` says. Pure.
 */
import type { JsonSchema, Shape } from './shape.ts';

export interface JsonSchemaOptions {
  readonly title: string;
  /** Any single value may come from the environment: `${NAME}`. */
  readonly environment?: true;
  /** What `$ref` in shapes refers to. */
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
}

const FROM_ENVIRONMENT: JsonSchema = { type: 'string', pattern: '\\$\\{[A-Za-z_]', description: 'From the environment: ${NAME} or ${NAME:-default}.' };

export function schemaOf(shape: Shape<unknown>, { title, environment, definitions = {} }: JsonSchemaOptions): JsonSchema {
  const all = { ...definitions, ...(environment === true ? { from_environment: FROM_ENVIRONMENT } : {}) };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    ...describe(shape, environment === true),
    ...(Object.keys(all).length === 0 ? {} : { definitions: all }),
  };
}

function describe({ description, notes, fields, item, itemStep, schema }: Shape<unknown>, environment: boolean): JsonSchema {
  const words = { ...(description === '' ? {} : { description: notes.unit === undefined ? description : `${description} In ${notes.unit}.` }), ...(notes.default === undefined ? {} : { default: notes.default }) };
  if (fields !== undefined) {
    const required = Object.keys(fields).filter((key) => fields[key]!.notes.required);
    const properties = Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, describe(field, environment)]));
    return { ...words, ...schema, properties, ...(required.length === 0 ? {} : { required }) };
  }
  if (item !== undefined) return { ...words, ...schema, [itemStep === '[]' ? 'items' : 'additionalProperties']: describe(item, environment) };
  const single = environment && schema.type !== 'object' && Object.keys(schema).length > 0;
  return single ? { ...words, anyOf: [schema, { $ref: '#/definitions/from_environment' }] } : { ...words, ...schema };
}
