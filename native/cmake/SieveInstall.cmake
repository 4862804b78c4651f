# `cmake --install` and the package that find_package(sieve) finds.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(SIEVE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/sieve)

install(TARGETS sieve EXPORT sieveTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sieve)
install(EXPORT sieveTargets NAMESPACE sieve:: DESTINATION ${SIEVE_PACKAGE_DIR})

configure_package_config_file(native/cmake/sieveConfig.cmake.in ${PROJECT_BINARY_DIR}/sieveConfig.cmake
  INSTALL_DESTINATION ${SIEVE_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sieveConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sieveConfig.cmake ${PROJECT_BINARY_DIR}/sieveConfigVersion.cmake
  DESTINATION ${SIEVE_PACKAGE_DIR})
