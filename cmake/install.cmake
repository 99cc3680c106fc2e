# What `cmake --install` puts where: programs, library, public headers, the CMake package `gomai`, documents. docs/library.md
# tells users of it.
include(CMakePackageConfigHelpers)

set(headers ${CMAKE_INSTALL_INCLUDEDIR}/gomai)  # includes are written from the project's root: "lib/graph/index.h"
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/gomai)

install(TARGETS gomai EXPORT gomaiTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${headers})
install(EXPORT gomaiTargets NAMESPACE gomai:: DESTINATION ${package})

# At install time, so that a header's comment decides as it reads then.
install(CODE "set(GOMAI_HEADERS_FROM \"${PROJECT_SOURCE_DIR}\")\nset(GOMAI_HEADERS_TO \"${headers}\")")
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/install_headers.cmake)

# The versions that the library was compiled with; it holds their inline functions, so older ones won't do.
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/gomaiConfig.cmake.in ${PROJECT_BINARY_DIR}/gomaiConfig.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gomaiConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gomaiConfig.cmake ${PROJECT_BINARY_DIR}/gomaiConfigVersion.cmake DESTINATION ${package})

install(FILES README.md CHANGELOG.md LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY examples/library DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
