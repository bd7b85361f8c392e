# Arrow C++ with Parquet: an installed package where CMake finds one, else the pyarrow wheel, which ships both headers and
# libraries. Defines Arrow::arrow_shared and Parquet::parquet_shared; MUSTER_ARROW_WHEEL_LIBRARIES names what an
# installation has to bring along where they come from the wheel.
find_package(Arrow CONFIG QUIET)
find_package(Parquet CONFIG QUIET)
set(MUSTER_ARROW_WHEEL_LIBRARIES "")
if(NOT (Arrow_FOUND AND Parquet_FOUND))
  file(GLOB wheel ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/pyarrow)
  set(MUSTER_PYARROW "${wheel}" CACHE PATH "The pyarrow package directory to take Arrow C++ from")
  file(GLOB arrow_library ${MUSTER_PYARROW}/libarrow.so.*)
  file(GLOB parquet_library ${MUSTER_PYARROW}/libparquet.so.*)
  if(NOT arrow_library OR NOT parquet_library)
    message(FATAL_ERROR "No Arrow C++ found: neither an installed package nor a pyarrow wheel under .venv. Run script/setup.")
  endif()
  add_library(Arrow::arrow_shared SHARED IMPORTED)
  set_target_properties(Arrow::arrow_shared PROPERTIES
    IMPORTED_LOCATION ${arrow_library} INTERFACE_INCLUDE_DIRECTORIES ${MUSTER_PYARROW}/include)
  add_library(Parquet::parquet_shared SHARED IMPORTED)
  set_target_properties(Parquet::parquet_shared PROPERTIES
    IMPORTED_LOCATION ${parquet_library} INTERFACE_LINK_LIBRARIES Arrow::arrow_shared)
  set(MUSTER_ARROW_WHEEL_LIBRARIES ${arrow_library} ${parquet_library})
  message(STATUS "Arrow C++: from the wheel at ${MUSTER_PYARROW}")
endif()
