# Highway (SIMD). Debian's package has no CMake configuration. Defines muster::highway.
find_library(HIGHWAY_LIBRARY hwy)
find_path(HIGHWAY_INCLUDE hwy/highway.h)
if(NOT HIGHWAY_LIBRARY OR NOT HIGHWAY_INCLUDE)
  message(FATAL_ERROR "Highway is missing. Run script/setup.")
endif()
add_library(muster::highway UNKNOWN IMPORTED)
set_target_properties(muster::highway PROPERTIES
  IMPORTED_LOCATION ${HIGHWAY_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${HIGHWAY_INCLUDE})
