#include "muster/model.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "data/encoding.h"
#include "muster/error.h"

namespace muster {
namespace {

namespace fs = std::filesystem;

class ModelTest : public ::testing::Test {
 protected:
  ModelTest() {
    std::string pattern = (fs::temp_directory_path() / "model_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ModelTest() override { fs::remove_all(directory_); }
  std::string path() const { return (directory_ / "model.json").string(); }

  Model again(const Model& model) const {
    model.save(path());
    return Model::load(path());
  }
  std::string text() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& text) const { std::ofstream(path(), std::ios::binary) << text; }
  // What loading says after `from`, which must be there, became `to`.
  std::string refusal_after(const std::string& from, const std::string& to) const {
    std::string changed = text();
    const std::size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write(changed.replace(at, from.size(), to));
    return refusal();
  }
  std::string refusal() const {
    try {
      Model::load(path());
    } catch (const InputError& error) {
      std::string what = error.what();
      if (const std::size_t at = what.find(path()); at != std::string::npos) what.replace(at, path().size(), "PATH");
      return what;
    }
    return "";
  }

  fs::path directory_;
};

Feature numeric(const std::string& name) {
  return {.name = name, .column = name, .level = {}};
}

Model diamonds() {
  Encoding encoding;
  encoding.format = Format::parquet;
  encoding.features = {
      numeric("carat"),
      {.name = "carat^2", .column = "carat", .kind = Feature::Kind::power, .level = {}, .degree = 2},
      {.name = "cut=Very \"good\",\n", .column = "cut", .kind = Feature::Kind::level, .level = "Very \"good\",\n"},
      {.name = "größe=ü", .column = "größe", .kind = Feature::Kind::level, .level = "ü"}};
  encoding.categoricals = {{"cut", {"Fair", "Very \"good\",\n"}}, {"größe", {"a", "ü"}}};
  encoding.target = "price";
  encoding.weight = "w";
  encoding.offset = "o";
  encoding.classes = {"0", "1"};
  encoding.missing = MissingPolicy::mean;
  encoding.fill = {{"carat", 0.1}};
  encoding.libsvm_base = 0;

  Model model;
  model.loss = Loss::logistic;
  model.has_intercept = false;
  for (const Feature& feature : encoding.features) model.coefficients.push_back({feature.name, 0.1});
  model.encoding = std::make_shared<const Encoding>(encoding);
  model.stop_reason = StopReason::max_rounds;
  model.certificate = {.objective = 1.0 / 3,
                       .gradient_norm = 5e-324,
                       .suboptimality_bound = 1e-9,
                       .bound_source = "strong convexity",
                       .relative_target = 2,
                       .rows_read = 10,
                       .rows_in_files = std::numeric_limits<std::int64_t>::max(),
                       .same_model_on_all_ranks = true,
                       .consensus_distance = -0.0,
                       .digits = 13.7,
                       .computed_from = "rows",
                       .training_rmse = 0.25,
                       .training_r2 = -1.5};
  return model;
}

std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

TEST_F(ModelTest, EveryFieldComesBack) {
  const Model before = diamonds();
  const Model after = again(before);
  EXPECT_EQ(after.loss, before.loss);
  EXPECT_EQ(after.has_intercept, before.has_intercept);
  EXPECT_EQ(after.stop_reason, before.stop_reason);
  ASSERT_EQ(after.coefficients.size(), before.coefficients.size());
  const Encoding &a = *after.encoding, &b = *before.encoding;
  ASSERT_EQ(a.features.size(), b.features.size());
  for (std::size_t j = 0; j < a.features.size(); ++j) {
    EXPECT_EQ(after.coefficients[j].feature, before.coefficients[j].feature);
    EXPECT_EQ(a.features[j].name, b.features[j].name);
    EXPECT_EQ(a.features[j].column, b.features[j].column);
    EXPECT_EQ(a.features[j].kind, b.features[j].kind);
    EXPECT_EQ(a.features[j].level, b.features[j].level);
    EXPECT_EQ(a.features[j].degree, b.features[j].degree);
  }
  ASSERT_EQ(a.categoricals.size(), 2u);
  EXPECT_EQ(a.categoricals[1].column, "größe");
  EXPECT_EQ(a.categoricals[0].levels, b.categoricals[0].levels);
  EXPECT_EQ(a.format, b.format);
  EXPECT_EQ(a.target, b.target);
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.classes, b.classes);
  EXPECT_EQ(a.missing, b.missing);
  EXPECT_EQ(a.fill, b.fill);
  EXPECT_EQ(a.libsvm_base, b.libsvm_base);
}

TEST_F(ModelTest, TheCertificateComesBack) {
  const Certificate before = diamonds().certificate;
  const Certificate after = again(diamonds()).certificate;
  EXPECT_EQ(bits(after.objective), bits(before.objective));
  EXPECT_EQ(bits(after.gradient_norm), bits(before.gradient_norm));
  EXPECT_EQ(after.suboptimality_bound, before.suboptimality_bound);
  EXPECT_EQ(after.bound_source, before.bound_source);
  EXPECT_EQ(after.relative_target, before.relative_target);
  EXPECT_EQ(after.rows_read, before.rows_read);
  EXPECT_EQ(after.rows_in_files, before.rows_in_files);
  EXPECT_EQ(after.same_model_on_all_ranks, before.same_model_on_all_ranks);
  EXPECT_EQ(bits(after.consensus_distance), bits(-0.0));
  EXPECT_EQ(after.digits, before.digits);
  EXPECT_EQ(after.computed_from, before.computed_from);
  EXPECT_EQ(after.training_rmse, before.training_rmse);
  EXPECT_EQ(after.training_r2, before.training_r2);
}

TEST_F(ModelTest, NumbersComeBackBitForBit) {
  std::vector<double> values{0.0,
                             -0.0,
                             5e-324,
                             -2.2250738585072011e-308,
                             1e308,
                             -1.7976931348623157e308,
                             0.1,
                             1.0 / 3,
                             1e15,
                             1e16,
                             123456789012345678.0,
                             9007199254740993.0,
                             1e-5,
                             5e-5,
                             2.5e-310};
  std::mt19937_64 random(1);
  while (values.size() < 20'000) {
    const double value = std::bit_cast<double>(random());
    if (std::isfinite(value)) values.push_back(value);
  }
  Encoding encoding;
  Model model;
  for (std::size_t j = 0; j < values.size(); ++j) {
    encoding.features.push_back(numeric("x" + std::to_string(j)));
    model.coefficients.push_back({encoding.features.back().name, values[j]});
  }
  model.intercept = -5e-324;
  model.encoding = std::make_shared<const Encoding>(encoding);
  const Model after = again(model);
  EXPECT_EQ(bits(after.intercept), bits(model.intercept));
  ASSERT_EQ(after.coefficients.size(), values.size());
  for (std::size_t j = 0; j < values.size(); ++j) EXPECT_EQ(bits(after.coefficients[j].value), bits(values[j])) << j;
}

TEST_F(ModelTest, TheFileHasThePromisedKeys) {
  diamonds().save(path());
  const nlohmann::json json = nlohmann::json::parse(text());
  EXPECT_EQ(json.at("format"), "muster-linear-1");
  EXPECT_EQ(json.at("loss"), "logistic");
  EXPECT_EQ(json.at("target"), "price");
  EXPECT_EQ(json.at("intercept"), 0.0);
  EXPECT_EQ(json.at("coefficients").at(0), (nlohmann::json{{"feature", "carat"}, {"value", 0.1}}));
  EXPECT_EQ(json.at("stop_reason"), "max_rounds");
  EXPECT_TRUE(json.at("encoding").is_object());
  EXPECT_EQ(json.at("certificate").at("suboptimality_bound"), 1e-9);
  EXPECT_TRUE(json.at("muster").is_string());
}

Model three_classes() {
  Model model = diamonds();
  Encoding encoding = *model.encoding;
  model.loss = Loss::softmax;
  model.classes = encoding.classes = {"-1", "größe \"x\",", "10"};
  model.intercepts = {1.0 / 3, -0.0, 5e-324};
  for (Coefficient& coefficient : model.coefficients) {
    coefficient.value = 0;
    coefficient.values = {0.1, -1e308, 2.5e-310};
  }
  model.encoding = std::make_shared<const Encoding>(encoding);
  return model;
}

TEST_F(ModelTest, ManyClassesComeBackBitForBit) {
  const Model before = three_classes(), after = again(before);
  EXPECT_EQ(after.loss, Loss::softmax);
  EXPECT_EQ(after.classes, before.classes);
  EXPECT_EQ(after.encoding->classes, before.classes);
  const auto same = [](const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t k = 0; k < a.size(); ++k) EXPECT_EQ(bits(a[k]), bits(b[k]));
  };
  same(after.intercepts, before.intercepts);
  ASSERT_EQ(after.coefficients.size(), before.coefficients.size());
  for (std::size_t j = 0; j < before.coefficients.size(); ++j)
    same(after.coefficients[j].values, before.coefficients[j].values);
  const nlohmann::json json = nlohmann::json::parse(text());
  EXPECT_EQ(json.at("loss"), "softmax");
  EXPECT_EQ(json.at("classes").at(2), "10");
  EXPECT_EQ(json.at("coefficients").at(0).at("values").size(), 3u);
  EXPECT_FALSE(json.contains("intercept"));
}

TEST_F(ModelTest, DamagedClassesAreNamed) {
  const auto refused = [&](const std::string& from, const std::string& to) {
    three_classes().save(path());
    return refusal_after(from, to);
  };
  EXPECT_EQ(refused("\"classes\": [\"-1\",", "\"classes\": ["), "PATH: intercepts has 3 numbers for 2 classes");
  EXPECT_EQ(refused("\"classes\": [\"-1\",", "\"classes\": [\"10\","), "PATH: classes has '10' twice");
  EXPECT_EQ(refused("\"values\": [0.1,", "\"values\": ["), "PATH: coefficients[0].values has 2 numbers for 3 classes");
  EXPECT_EQ(refused("\"values\": [0.1,", "\"values\": [\"0.1\","),
            "PATH: coefficients[0].values is not a list of numbers");
  EXPECT_EQ(refused("\"intercepts\"", "\"intercept\""), "PATH: intercepts is missing");
}

Model libsvm(std::size_t features, const std::vector<std::pair<std::string, double>>& coefficients) {
  Encoding encoding;
  encoding.format = Format::libsvm;
  encoding.libsvm_base = 0;
  encoding.libsvm_features = features;
  Model model;
  for (const auto& [name, value] : coefficients) model.coefficients.push_back({name, value});
  model.encoding = std::make_shared<const Encoding>(encoding);
  return model;
}

TEST_F(ModelTest, LibsvmFeaturesAreTheirIndexAndZerosNeedNotBeListed) {
  const Model after = again(libsvm(50'000'000, {{"0", 1.5}, {"7", -2}, {"49999999", 0.25}}));
  EXPECT_FALSE(nlohmann::json::parse(text()).at("encoding").contains("features"));
  EXPECT_LT(text().size(), 2000u);
  EXPECT_EQ(after.encoding->feature_count(), 50'000'000u);
  EXPECT_EQ(after.encoding->feature_name(49'999'999), "49999999");
  ASSERT_EQ(after.coefficients.size(), 3u);
  EXPECT_EQ(after.coefficients[1].feature, "7");
  EXPECT_EQ(after.coefficients[2].value, 0.25);
}

TEST_F(ModelTest, LibsvmCoefficientsThatAreNoIndexOfTheModelAreRefused) {
  for (const std::string name : {"3", "x", "-1", ""}) {
    libsvm(3, {{"1", 1}, {name, 2}}).save(path());
    try {
      Model::load(path());
      FAIL() << name;
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()), path() + ": encoding.libsvm_features does not go with the coefficient of '" +
                                               name + "': indices ascend from 0 to 2");
    }
  }
}

TEST_F(ModelTest, AModelThatListsEveryLibsvmFeatureNeedsNoCount) {
  libsvm(2, {{"0", 1}, {"1", 2}}).save(path());
  nlohmann::json json = nlohmann::json::parse(text());
  json.at("encoding").erase("libsvm_features");
  std::ofstream(path()) << json.dump();
  EXPECT_EQ(Model::load(path()).encoding->feature_count(), 2u);
}

TEST_F(ModelTest, AnUnknownOrUndefinedCertificateIsNull) {
  Model model = diamonds();
  model.certificate.objective = std::numeric_limits<double>::quiet_NaN();
  model.certificate.gradient_norm = std::numeric_limits<double>::infinity();
  model.certificate.suboptimality_bound.reset();
  model.certificate.digits.reset();
  const Model after = again(model);
  EXPECT_TRUE(std::isnan(after.certificate.objective));
  EXPECT_TRUE(std::isnan(after.certificate.gradient_norm));
  EXPECT_FALSE(after.certificate.suboptimality_bound.has_value());
  EXPECT_FALSE(after.certificate.digits.has_value());
  EXPECT_TRUE(nlohmann::json::parse(text()).at("certificate").at("suboptimality_bound").is_null());
}

TEST_F(ModelTest, WhatCanNotBeSavedIsSaidAndLeavesNothing) {
  Model model = diamonds();
  model.coefficients[2].value = std::numeric_limits<double>::infinity();
  EXPECT_THROW(model.save(path()), InputError);
  Model latin1 = diamonds();
  latin1.coefficients[0].feature = "gr\xf6\xdf\x65";
  EXPECT_THROW(latin1.save(path()), InputError);
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(ModelTest, AMissingFile) {
  EXPECT_EQ(refusal(), "cannot read PATH: No such file or directory");
}

TEST_F(ModelTest, NotJson) {
  write("");
  EXPECT_EQ(refusal(), "PATH:1:1: the file is empty");
  write("{\n  \"format\": muster\n}");
  EXPECT_EQ(refusal(), "PATH:2:13: not valid JSON here");
  write("{\n  \"format\": \"muster-lin");
  EXPECT_EQ(refusal(), "PATH:2:24: the file ends too early");
  write("[1, 2]");
  EXPECT_EQ(refusal(), "PATH: the document is not an object");
  write("{\"format\": \"muster-linear-1\", \"intercept\": 1e999}");
  EXPECT_EQ(refusal(), "PATH: a number is too large");
}

// Whatever is cut off or flipped, there is one sentence or a model, never a crash.
TEST_F(ModelTest, EveryTruncationIsRefused) {
  diamonds().save(path());
  const std::string whole = text();
  for (std::size_t length = 0; length + 2 < whole.size(); ++length) {
    write(whole.substr(0, length));
    EXPECT_NE(refusal(), "") << length;
  }
}

TEST_F(ModelTest, AnotherFormat) {
  diamonds().save(path());
  const std::string version = nlohmann::json::parse(text()).at("muster");
  EXPECT_EQ(refusal_after("muster-linear-1", "muster-linear-2"),
            "PATH: format 'muster-linear-2' is not known to Muster " + version + ": a later version wrote it");
  EXPECT_EQ(refusal_after("muster-linear-2", "xgboost"),
            "PATH: not a model of Muster (no \"format\": \"muster-linear-1\")");
}

TEST_F(ModelTest, MissingAndMistypedKeysAreNamed) {
  const auto refused = [&](const std::string& from, const std::string& to) {
    diamonds().save(path());
    return refusal_after(from, to);
  };
  EXPECT_EQ(refused("\"intercept\": 0.0", "\"interzept\": 0.0"), "PATH: intercept is missing");
  EXPECT_EQ(refused("\"value\": 0.1", "\"value\": \"0.1\""), "PATH: coefficients[0].value is not a number");
  EXPECT_EQ(refused("\"loss\": \"logistic\"", "\"loss\": \"hinge\""),
            "PATH: loss is 'hinge', which this version of Muster does not know");
  EXPECT_EQ(refused("\"version\": 1", "\"version\": 2"),
            "PATH: encoding.version is 2, which this version of Muster does not know");
  EXPECT_EQ(refused("\"kind\": \"level\"", "\"kind\": 3"), "PATH: encoding.features[2].kind is not a text");
  EXPECT_EQ(refused("\"degree\": 2", "\"degree\": 2.5"), "PATH: encoding.features[1].degree is not a whole number");
  EXPECT_EQ(refused("\"fill\": {\"carat\":0.1}", "\"fill\": {\"carat\":null}"),
            "PATH: encoding.fill.carat is not a number");
  EXPECT_EQ(refused("{\"feature\": \"carat\", \"value\": 0.1},", ""),
            "PATH: encoding.features has 4 entries for 3 coefficients");
  EXPECT_EQ(refused("\"rows_read\": 10", "\"rows_read\": true"), "PATH: certificate.rows_read is not a whole number");
  EXPECT_EQ(refused("\"stop_reason\": \"max_rounds\"", "\"stop_reason\": \"tired\""),
            "PATH: stop_reason is 'tired', which this version of Muster does not know");
}

}  // namespace
}  // namespace muster
