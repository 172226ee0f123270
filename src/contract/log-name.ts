/** What the name of an audit log may be, `<cluster>/<instance>`, so that it can stand in a path and, encoded, name a folder. */
export const LOG_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*){0,7}$/;
export const LOG_NAME_CHARS_MAX = 200;
