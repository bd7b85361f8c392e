# OpenBLAS, the build without threads, where it is installed: a peer of bench/kernels_syrk. Defines muster::openblas.
find_library(SERIAL_OPENBLAS openblas PATH_SUFFIXES openblas-serial NO_DEFAULT_PATH
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} /usr/lib /usr/local/lib)
find_library(SERIAL_OPENBLAS openblas)
find_path(OPENBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas-serial ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-serial openblas)
if(SERIAL_OPENBLAS AND OPENBLAS_INCLUDE)
  add_library(muster::openblas SHARED IMPORTED)
  set_target_properties(muster::openblas PROPERTIES
    IMPORTED_LOCATION ${SERIAL_OPENBLAS} INTERFACE_INCLUDE_DIRECTORIES ${OPENBLAS_INCLUDE})
endif()
