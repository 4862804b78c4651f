# The Node addon. Under cmake-js the header paths come from it (CMAKE_JS_INC); otherwise node is asked for them.

if(NOT CMAKE_JS_INC)
  find_program(SIEVE_NODE_PROGRAM node REQUIRED)
  foreach(EXPRESSION IN ITEMS
      "require('node-api-headers').include_dir"
      "require('path').dirname(require.resolve('node-addon-api/package.json'))"
      "require('node-api-headers').def_paths.node_api_def")
    execute_process(
      COMMAND ${SIEVE_NODE_PROGRAM} -p ${EXPRESSION}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
      OUTPUT_VARIABLE SIEVE_NODE_PATH OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE SIEVE_NODE_FAILED)
    if(SIEVE_NODE_FAILED)
      message(FATAL_ERROR "Expected the packages node-api-headers and node-addon-api in node_modules: run `npm ci`, "
                          "or configure with -DSIEVE_BUILD_NODE=OFF.")
    endif()
    file(TO_CMAKE_PATH "${SIEVE_NODE_PATH}" SIEVE_NODE_PATH)
    list(APPEND SIEVE_NODE_PATHS ${SIEVE_NODE_PATH})
  endforeach()
  list(GET SIEVE_NODE_PATHS 0 1 CMAKE_JS_INC)
  if(WIN32)
    list(GET SIEVE_NODE_PATHS 2 CMAKE_JS_NODELIB_DEF)
    set(CMAKE_JS_NODELIB_TARGET ${PROJECT_BINARY_DIR}/node.lib)
    set(CMAKE_JS_LIB ${CMAKE_JS_NODELIB_TARGET})
  endif()
endif()

# Windows links against an import library of what node.exe exports.
if(MSVC AND CMAKE_JS_NODELIB_DEF AND CMAKE_JS_NODELIB_TARGET)
  execute_process(
    COMMAND ${CMAKE_AR} /def:${CMAKE_JS_NODELIB_DEF} /out:${CMAKE_JS_NODELIB_TARGET} ${CMAKE_STATIC_LINKER_FLAGS}
    COMMAND_ERROR_IS_FATAL ANY)
endif()

sieve_read_sources(addon SIEVE_ADDON_SOURCES)
add_library(onnx_sieve MODULE ${SIEVE_ADDON_SOURCES} ${CMAKE_JS_SRC})
sieve_configure_target(onnx_sieve)
target_include_directories(onnx_sieve PRIVATE native)
target_include_directories(onnx_sieve SYSTEM PRIVATE ${CMAKE_JS_INC})
target_compile_definitions(onnx_sieve PRIVATE
  NAPI_VERSION=8
  NODE_ADDON_API_CPP_EXCEPTIONS_ALL
  NODE_ADDON_API_DISABLE_DEPRECATED
  NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
target_link_libraries(onnx_sieve PRIVATE sieve_static Threads::Threads ${CMAKE_JS_LIB})
set_target_properties(onnx_sieve PROPERTIES PREFIX "" SUFFIX ".node")
if(APPLE)
  target_link_options(onnx_sieve PRIVATE -undefined dynamic_lookup)
elseif(UNIX)
  target_link_options(onnx_sieve PRIVATE LINKER:-z,now)  # a symbol that is missing fails the load, not a call
endif()
if(NOT CMAKE_JS_VERSION)  # cmake-js sets the output folder itself; this is the same one
  set_target_properties(onnx_sieve PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/$<CONFIG>)
endif()
