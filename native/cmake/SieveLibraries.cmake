# The libraries: sieve_static, sieve_shared, and sieve::sieve for the one that BUILD_SHARED_LIBS asks for.

include(CheckLinkerFlag)
include(GNUInstallDirs)

# Before 1.0 every minor version may change the ABI, so it is part of the name of the shared library.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(SIEVE_SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
else()
  set(SIEVE_SOVERSION ${PROJECT_VERSION_MAJOR})
endif()

# The kernels define no function of the ABI: the same objects serve both libraries. The core does, and what marks such
# a function as exported differs (in a static library nothing is, or whoever links it would export it too).
sieve_read_sources(core SIEVE_CORE_SOURCES)
set(SIEVE_KERNEL_SOURCES ${SIEVE_CORE_SOURCES})
list(FILTER SIEVE_KERNEL_SOURCES INCLUDE REGEX "/native/kernels/")
list(FILTER SIEVE_CORE_SOURCES EXCLUDE REGEX "/native/kernels/")

add_library(sieve_kernels OBJECT EXCLUDE_FROM_ALL ${SIEVE_KERNEL_SOURCES})
sieve_configure_target(sieve_kernels)
sieve_add_instruction_sets(sieve_kernels)
set_target_properties(sieve_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(sieve_kernels PRIVATE native native/include)
target_compile_definitions(sieve_kernels PRIVATE SIEVE_STATIC)

function(sieve_add_library KIND)
  string(TOUPPER ${KIND} TYPE)
  set(TARGET sieve_${KIND})
  add_library(${TARGET} ${TYPE} ${SIEVE_CORE_SOURCES} $<TARGET_OBJECTS:sieve_kernels>)
  add_library(sieve::${TARGET} ALIAS ${TARGET})
  sieve_configure_target(${TARGET})
  set_target_properties(${TARGET} PROPERTIES
    OUTPUT_NAME sieve
    POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${TARGET}
    PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/native/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/native)
  target_link_libraries(${TARGET} PRIVATE Threads::Threads)
endfunction()

# ---- Static --------------------------------------------------------------------------------------------

sieve_add_library(static)
target_compile_definitions(sieve_static PUBLIC SIEVE_STATIC)
if(WIN32 AND NOT MINGW)
  # sieve.lib is the import library of sieve.dll.
  set_target_properties(sieve_static PROPERTIES OUTPUT_NAME sieve_static)
endif()

# What a C++ compiler links and a C compiler does not: programs without a C++ file need it named.
set(SIEVE_CXX_RUNTIME "")
foreach(LIBRARY IN LISTS CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
  if(NOT LIBRARY IN_LIST CMAKE_C_IMPLICIT_LINK_LIBRARIES AND NOT LIBRARY IN_LIST SIEVE_CXX_RUNTIME)
    list(APPEND SIEVE_CXX_RUNTIME ${LIBRARY})
  endif()
endforeach()
foreach(LIBRARY IN LISTS SIEVE_CXX_RUNTIME)
  target_link_libraries(sieve_static INTERFACE $<LINK_ONLY:$<$<LINK_LANGUAGE:C,OBJC,Fortran>:${LIBRARY}>>)
endforeach()

# ---- Shared --------------------------------------------------------------------------------------------

sieve_add_library(shared)
target_compile_definitions(sieve_shared PRIVATE SIEVE_BUILDING)
set_target_properties(sieve_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${SIEVE_SOVERSION})
# Hidden visibility leaves one thing visible: what the templates of the C++ library become.
if(APPLE)
  target_link_options(sieve_shared PRIVATE LINKER:-exported_symbol,_sieve_*)
elseif(UNIX)
  set(SIEVE_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/sieve.version)
  check_linker_flag(CXX LINKER:--version-script=${SIEVE_EXPORTS} SIEVE_LINKER_HAS_VERSION_SCRIPT)
  if(SIEVE_LINKER_HAS_VERSION_SCRIPT)
    target_link_options(sieve_shared PRIVATE LINKER:--version-script=${SIEVE_EXPORTS})
    set_target_properties(sieve_shared PROPERTIES LINK_DEPENDS ${SIEVE_EXPORTS})
  endif()
endif()

# ---- Both ----------------------------------------------------------------------------------------------

if(SIEVE_EMULATE_AMX)
  foreach(TARGET IN ITEMS sieve_kernels sieve_static sieve_shared)
    target_compile_definitions(${TARGET} PRIVATE SIEVE_EMULATE_AMX)
    target_include_directories(${TARGET} PRIVATE ${PROJECT_SOURCE_DIR}/test/native)
  endforeach()
endif()

# ---- Which one is sieve::sieve -------------------------------------------------------------------------

if(BUILD_SHARED_LIBS)
  set(SIEVE_CHOSEN sieve_shared)
  set(SIEVE_OTHER sieve_static)
else()
  set(SIEVE_CHOSEN sieve_static)
  set(SIEVE_OTHER sieve_shared)
endif()
add_library(sieve::sieve ALIAS ${SIEVE_CHOSEN})
if(NOT SIEVE_INSTALL)
  set_target_properties(${SIEVE_OTHER} PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
