// Parquet and packed files for tests, written by Arrow.
#pragma once

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <arrow/util/compression.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace muster {

template <class Builder, class Value>
std::shared_ptr<arrow::Array> array_of(const std::vector<std::optional<Value>>& values) {
  Builder builder;
  for (const auto& value : values) {
    const arrow::Status status = value ? builder.Append(*value) : builder.AppendNull();
    EXPECT_TRUE(status.ok());
  }
  return *builder.Finish();
}

// x: int64, s: text, b: bool, t: a date, y: double; rows i = begin … end − 1.
inline std::shared_ptr<arrow::Table> table(int begin, int end, bool missing) {
  std::vector<std::optional<std::int64_t>> x;
  std::vector<std::optional<std::string>> s;
  std::vector<std::optional<bool>> b;
  std::vector<std::optional<std::int32_t>> t;
  std::vector<std::optional<double>> y;
  for (int i = begin; i < end; ++i) {
    x.push_back(missing && i % 10 == 3 ? std::nullopt : std::optional<std::int64_t>(i));
    s.push_back(std::string(1, static_cast<char>('a' + i % 3)));
    b.push_back(i % 2 == 1);
    t.push_back(i);
    y.push_back(i / 4.0);
  }
  return arrow::Table::Make(
      arrow::schema({arrow::field("x", arrow::int64()), arrow::field("s", arrow::utf8()),
                     arrow::field("b", arrow::boolean()), arrow::field("t", arrow::date32()),
                     arrow::field("y", arrow::float64())}),
      {array_of<arrow::Int64Builder>(x), array_of<arrow::StringBuilder>(s), array_of<arrow::BooleanBuilder>(b),
       array_of<arrow::Date32Builder>(t), array_of<arrow::DoubleBuilder>(y)});
}

inline void write_parquet(const std::string& path, const arrow::Table& rows, int group) {
  auto out = *arrow::io::FileOutputStream::Open(path);
  ASSERT_TRUE(parquet::arrow::WriteTable(rows, arrow::default_memory_pool(), out, group).ok());
  ASSERT_TRUE(out->Close().ok());
}

inline std::string packed(const std::string& path, arrow::Compression::type type, const std::string& text) {
  auto codec = *arrow::util::Codec::Create(type);
  auto out = *arrow::io::CompressedOutputStream::Make(codec.get(), *arrow::io::FileOutputStream::Open(path));
  EXPECT_TRUE(out->Write(text.data(), static_cast<std::int64_t>(text.size())).ok());
  EXPECT_TRUE(out->Close().ok());
  return path;
}

}  // namespace muster
