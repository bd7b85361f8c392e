#include <fmt/format.h>

#include <cstdio>

#include "output.h"
#include "results.h"
#include "run.h"
#include "words.h"

namespace muster::cli {

// One process is enough to predict; under a launcher the others have nothing to do.

int run(const PredictCommand& command) {
  if (silent_rank()) return 0;
  const Model model = Model::load(command.model);
  OutputFile file(command.output);
  const std::int64_t rows = predict(model, command.options, file.stream());
  file.commit();
  if (!command.quiet && !is_standard_output(command.output)) {
    std::fprintf(stderr, "%s predictions: %s\n", grouped(rows).c_str(), command.output.c_str());
  }
  return 0;
}

int run(const EvaluateCommand& command) {
  if (silent_rank()) return 0;
  const Model model = Model::load(command.model);
  const Metrics metrics = evaluate(model, command.options);
  print(command.json ? to_json(metrics, model.loss) : describe(metrics, model.loss));
  return 0;
}

int run(const Text& text) {
  if (!silent_rank()) print(text.text);
  return static_cast<int>(text.code);
}

}  // namespace muster::cli
