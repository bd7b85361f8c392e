# `cmake --install`: the command, libmuster.so, the public headers, and a package for find_package(muster).
#
# The installation stands alone: it looks for its libraries relative to itself ($ORIGIN), so the build tree and .venv may
# go. Arrow, where it comes from the wheel, is brought along in lib/muster.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

file(RELATIVE_PATH bin_to_lib /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})

set_target_properties(muster_command PROPERTIES
  INSTALL_RPATH "$ORIGIN/${bin_to_lib};$ORIGIN/${bin_to_lib}/muster")
install(TARGETS muster_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set_target_properties(muster PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/muster")
install(TARGETS muster EXPORT muster-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/muster DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
if(MUSTER_ARROW_WHEEL_LIBRARIES)
  install(FILES ${MUSTER_ARROW_WHEEL_LIBRARIES} DESTINATION ${CMAKE_INSTALL_LIBDIR}/muster)
endif()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/muster)
install(EXPORT muster-targets NAMESPACE muster:: DESTINATION ${package_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/muster-config.cmake.in
  ${PROJECT_BINARY_DIR}/muster-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/muster-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/muster-config.cmake ${PROJECT_BINARY_DIR}/muster-config-version.cmake
  DESTINATION ${package_folder})
