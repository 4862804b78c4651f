# One ctest per file of the list; a test is a program that fails by its exit code. They may look into the core.

sieve_read_sources(tests SIEVE_TEST_SOURCES)
foreach(FILE IN LISTS SIEVE_TEST_SOURCES)
  get_filename_component(NAME ${FILE} NAME_WE)
  add_executable(${NAME} ${FILE})
  sieve_configure_target(${NAME})
  target_include_directories(${NAME} PRIVATE native test/native)
  target_link_libraries(${NAME} PRIVATE sieve_static Threads::Threads)
  add_test(NAME ${NAME} COMMAND ${NAME})
endforeach()
