// Parquet's columns, a page of each in memory at a time.
//
// Arrow can read so itself (ReaderProperties::enable_buffered_stream), but in its version 18 that writes past the end
// of its buffer, or finds the stream at an end, where what is left of a column is about as long as that
// (https://github.com/apache/arrow/issues/48311): a column of a few values in a few hundred thousand rows is enough.
// Without it, a row group's columns are held whole. So pages come from a stream of our own.
#pragma once

#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>

#include <memory>

namespace parquet {
class ParquetFileReader;
}  // namespace parquet

namespace muster {

// Throws parquet::ParquetException; so do its methods.
std::unique_ptr<parquet::ParquetFileReader> read_parquet_by_pages(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                                  arrow::MemoryPool* pool);

}  // namespace muster
