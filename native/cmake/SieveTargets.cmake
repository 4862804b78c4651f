# Compiler settings that every target here shares, and the per-instruction-set sources.

include(CheckCXXSourceCompiles)

if(MSVC)
  set(SIEVE_COMPILER msvc)
else()
  set(SIEVE_COMPILER gnu)
endif()

sieve_read_list(SIEVE_COMMON_FLAGS flags ${SIEVE_COMPILER})
string(REPLACE "," ";" SIEVE_SANITIZERS "${SIEVE_SANITIZE}")

function(sieve_configure_target TARGET)
  set_target_properties(${TARGET} PROPERTIES
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(${TARGET} PRIVATE ${SIEVE_COMMON_FLAGS})
  if(MSVC)
    target_compile_options(${TARGET} PRIVATE /W4 /utf-8 $<$<BOOL:${SIEVE_WARNINGS_AS_ERRORS}>:/WX>)
  else()
    target_compile_options(${TARGET} PRIVATE -Wall -Wextra $<$<BOOL:${SIEVE_WARNINGS_AS_ERRORS}>:-Werror>)
  endif()
  foreach(SANITIZER IN LISTS SIEVE_SANITIZERS)
    target_compile_options(${TARGET} PRIVATE -fsanitize=${SANITIZER} -fno-omit-frame-pointer -g)
    target_link_options(${TARGET} PUBLIC $<BUILD_INTERFACE:-fsanitize=${SANITIZER}>)
  endforeach()
endfunction()

# The compiler is asked, not CMAKE_SYSTEM_PROCESSOR, so that cross builds get it right.
check_cxx_source_compiles("
  #if !defined(__x86_64__) && !(defined(_M_X64) && !defined(_M_ARM64EC))
  #error not x64
  #endif
  int main() { return 0; }" SIEVE_TARGET_IS_X64)
check_cxx_source_compiles("
  #if !defined(__aarch64__) && !defined(_M_ARM64)
  #error not arm64
  #endif
  int main() { return 0; }" SIEVE_TARGET_IS_ARM64)

# Adds each instruction set's files to the target where the processor has it, with that set's flags on those files only.
function(sieve_add_instruction_sets TARGET)
  string(JSON COUNT LENGTH "${SIEVE_SOURCES_JSON}" instructionSets)
  math(EXPR LAST "${COUNT} - 1")
  foreach(INDEX RANGE ${LAST})
    string(JSON PROCESSOR GET "${SIEVE_SOURCES_JSON}" instructionSets ${INDEX} processor)
    string(TOUPPER ${PROCESSOR} PROCESSOR)
    if(NOT SIEVE_TARGET_IS_${PROCESSOR})
      continue()
    endif()
    sieve_read_list(FLAGS instructionSets ${INDEX} flags ${SIEVE_COMPILER})
    sieve_read_list(FILES instructionSets ${INDEX} sources)
    list(TRANSFORM FILES PREPEND ${PROJECT_SOURCE_DIR}/)
    target_sources(${TARGET} PRIVATE ${FILES})
    set_source_files_properties(${FILES} PROPERTIES COMPILE_OPTIONS "${FLAGS}")
  endforeach()
endfunction()
