# Reads native/sources.json.

set(SIEVE_SOURCES_FILE ${PROJECT_SOURCE_DIR}/native/sources.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${SIEVE_SOURCES_FILE})
file(READ ${SIEVE_SOURCES_FILE} SIEVE_SOURCES_JSON)

# The array at a path of keys, as a list.
function(sieve_read_list RESULT)
  string(JSON COUNT LENGTH "${SIEVE_SOURCES_JSON}" ${ARGN})
  set(LIST "")
  if(COUNT GREATER 0)
    math(EXPR LAST "${COUNT} - 1")
    foreach(INDEX RANGE ${LAST})
      string(JSON ITEM GET "${SIEVE_SOURCES_JSON}" ${ARGN} ${INDEX})
      list(APPEND LIST ${ITEM})
    endforeach()
  endif()
  set(${RESULT} "${LIST}" PARENT_SCOPE)
endfunction()

# The files of one part of the list ("core", "addon", "tests"), as absolute paths.
function(sieve_read_sources PART RESULT)
  sieve_read_list(FILES ${PART})
  list(TRANSFORM FILES PREPEND ${PROJECT_SOURCE_DIR}/)
  set(${RESULT} "${FILES}" PARENT_SCOPE)
endfunction()
