// Compares the functions that a C header declares with the names that a shared library exports.

const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, ' ');
/** Without directives, continued lines included: they hold no declarations. */
const withoutDirectives = (text) => text.replace(/^[ \t]*#(?:[^\n\\]|\\[\s\S])*$/gm, '');

/**
 * The functions that sieve.h declares. Every name before a parenthesis counts, so that one declared without SIEVE_API
 * shows up as missing among the exports; a pointer to a function, (*name)(...), has none.
 */
export function declaredFunctions(header) {
  const text = withoutDirectives(withoutComments(header));
  return [...new Set([...text.matchAll(/\b(sieve_\w+)\s*\(/g)].map((match) => match[1]))].sort();
}

export function compareExports(header, exported) {
  const declared = declaredFunctions(header);
  if (declared.length === 0) throw new Error('Expected functions in the header but received none');
  return {
    declared,
    undeclared: exported.filter((name) => !declared.includes(name)),
    missing: declared.filter((name) => !exported.includes(name)),
  };
}
