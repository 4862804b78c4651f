/* A shared library that holds the static one: it must not export what is not its own. */
#include <sieve/sieve.h>

#if defined(_WIN32)
__declspec(dllexport)
#endif
    const char* plugin_version(void);

const char* plugin_version(void) { return sieve_version_string(); }
