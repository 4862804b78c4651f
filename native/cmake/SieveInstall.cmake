# `cmake --install`: both libraries, the header, the package that find_package(sieve) finds, and sieve.pc. Everything
# names its neighbours relative to itself, so the installed tree may be moved.

include(CMakePackageConfigHelpers)

set(SIEVE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/sieve)

# An export of its own for each, so that a distribution can put them into packages of their own.
foreach(KIND IN ITEMS static shared)
  install(TARGETS sieve_${KIND} EXPORT sieve-${KIND}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(EXPORT sieve-${KIND} NAMESPACE sieve:: DESTINATION ${SIEVE_PACKAGE_DIR} FILE sieve-${KIND}.cmake)
endforeach()

install(FILES ${PROJECT_SOURCE_DIR}/native/include/sieve/sieve.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sieve)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/sieveConfig.cmake.in ${PROJECT_BINARY_DIR}/sieveConfig.cmake
  INSTALL_DESTINATION ${SIEVE_PACKAGE_DIR}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sieveConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sieveConfig.cmake ${PROJECT_BINARY_DIR}/sieveConfigVersion.cmake
  DESTINATION ${SIEVE_PACKAGE_DIR})

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ---- pkg-config ----------------------------------------------------------------------------------------

set(SIEVE_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
# A directory as sieve.pc has to name it: below the prefix, or absolute where the builder asked for that.
foreach(NAME IN ITEMS LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${NAME}}")
    set(SIEVE_PC_${NAME} "${CMAKE_INSTALL_${NAME}}")
  else()
    set(SIEVE_PC_${NAME} "\${prefix}/${CMAKE_INSTALL_${NAME}}")
  endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(SIEVE_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH SIEVE_PC_PREFIX "/${SIEVE_PC_DIR}" "/")
  string(REGEX REPLACE "/$" "" SIEVE_PC_PREFIX "\${pcfiledir}/${SIEVE_PC_PREFIX}")
endif()
set(SIEVE_PC_PRIVATE_LIBRARIES "")
foreach(LIBRARY IN LISTS SIEVE_CXX_RUNTIME CMAKE_THREAD_LIBS_INIT)
  if(IS_ABSOLUTE "${LIBRARY}" OR LIBRARY MATCHES "^-")
    string(APPEND SIEVE_PC_PRIVATE_LIBRARIES " ${LIBRARY}")
  else()
    string(APPEND SIEVE_PC_PRIVATE_LIBRARIES " -l${LIBRARY}")
  endif()
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/sieve.pc.in ${PROJECT_BINARY_DIR}/sieve.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sieve.pc DESTINATION ${SIEVE_PC_DIR})
