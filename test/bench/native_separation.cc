// Times the library's kernels on one workload: every backend of this processor in turn, in one process.
//
//   native_separation --kernel si|csi|filters|select [--rows N] [--dims N] [--filters N] [--limit N]
//                     [--data random|clustered|FILE] [--threads N] [--seed N] [--rounds N]
//                     [--serial-gflop N] [--reevaluate] [--serve]
//
// --dims counts the values of all filters together. Prints one JSON line a contender: medians over the rounds
// of CPU seconds (all threads) and wall seconds. With --serve it prints a line that lists the contenders,
// does the contender that each line of stdin names, and answers with one JSON line a trial, so that another
// program can let them take turns with its own. The rules of the contenders are in contenders.h, the data in
// workload.h.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "contenders.h"
#include "measure.h"
#include "workload.h"

namespace sieve_bench {
namespace {

struct Arguments {
  Workload workload;
  std::string data = "random";
  unsigned seed = 1;
  int rounds = 5;
  double serial_gflop = 4;
  bool reevaluate = false;
  bool serve = false;
};

size_t whole_number(const std::string& option, const std::string& text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || text[0] == '-' || *end != '\0') {
    throw std::runtime_error("Expected a whole number for " + option + " but received " + text);
  }
  return static_cast<size_t>(value);
}

Arguments parse(int count, char** values) {
  Arguments arguments;
  Workload& workload = arguments.workload;
  for (int i = 1; i < count; ++i) {
    const std::string option = values[i];
    if (option == "--reevaluate" || option == "--serve") {
      (option == "--serve" ? arguments.serve : arguments.reevaluate) = true;
      continue;
    }
    if (i + 1 == count) throw std::runtime_error("Expected a value for " + option);
    const std::string value = values[++i];
    const auto number = [&] { return whole_number(option, value); };
    if (option == "--kernel")
      workload.kernel = value;
    else if (option == "--rows")
      workload.rows = number();
    else if (option == "--dims")
      workload.dims = number();
    else if (option == "--filters")
      workload.filters = number();
    else if (option == "--limit")
      workload.limit = number();
    else if (option == "--threads")
      workload.threads = static_cast<int>(number());
    else if (option == "--data")
      arguments.data = value;
    else if (option == "--seed")
      arguments.seed = static_cast<unsigned>(number());
    else if (option == "--rounds")
      arguments.rounds = static_cast<int>(number());
    else if (option == "--serial-gflop")
      arguments.serial_gflop = static_cast<double>(number());
    else
      throw std::runtime_error("Expected a known option but received " + option);
  }
  if (workload.rows < 2 || workload.dims < 1 || workload.filters < 1 || arguments.rounds < 1 ||
      workload.dims % workload.filters != 0) {
    throw std::runtime_error("Expected 2 rows or more, and filters that divide --dims");
  }
  return arguments;
}

// Holds the longest answer so far; every other one has to be equal as far as both go.
class AnswerCheck {
 public:
  void add(const Contender& contender, const std::vector<double>& answer) {
    for (size_t i = 0; i < answer.size() && i < known_.size(); ++i) {
      if (answer[i] == known_[i] || (std::isnan(answer[i]) && std::isnan(known_[i]))) continue;
      throw std::runtime_error("Expected " + std::to_string(known_[i]) + " as value " + std::to_string(i) +
                               " of the answer but received " + std::to_string(answer[i]) + " from " +
                               contender.name);
    }
    if (answer.size() > known_.size()) known_ = answer;
  }

 private:
  std::vector<double> known_;
};

class Session {
 public:
  explicit Session(const Arguments& arguments)
      : arguments_(arguments),
        contenders_(contenders_of(arguments.workload, arguments.reevaluate, 1e9 * arguments.serial_gflop)) {}

  // Each contender in turn, every other round in the opposite order; the first run of each is not counted.
  void run_rounds() {
    std::map<std::string, std::vector<Cost>> costs;
    for (const Contender& contender : contenders_) trial(contender);
    for (int round = 0; round < arguments_.rounds; ++round) {
      for (size_t i = 0; i < contenders_.size(); ++i) {
        const Contender& contender = contenders_[round % 2 == 0 ? i : contenders_.size() - 1 - i];
        costs[contender.name].push_back(trial(contender));
      }
    }
    const auto median_of = [&](const std::string& name, double Cost::*part) {
      std::vector<double> values;
      for (const Cost& cost : costs[name]) values.push_back(cost.*part);
      return median(values);
    };
    for (const Contender& contender : contenders_) {
      print(contender,
            {median_of(contender.name, &Cost::cpu_seconds), median_of(contender.name, &Cost::wall_seconds),
             median_of(contender.name, &Cost::peak_mebibytes)});
    }
  }

  void serve() {
    std::printf("{\"contenders\":[");
    for (size_t i = 0; i < contenders_.size(); ++i) {
      std::printf("%s\"%s\"", i == 0 ? "" : ",", contenders_[i].name.c_str());
    }
    std::printf("]}\n");
    std::fflush(stdout);
    for (std::string name; std::getline(std::cin, name);) {
      bool found = false;
      for (const Contender& contender : contenders_) {
        if (contender.name != name) continue;
        print(contender, trial(contender));
        found = true;
      }
      if (!found) throw std::runtime_error("Expected the name of a contender but received " + name);
    }
  }

 private:
  Cost trial(const Contender& contender) {
    std::vector<double> answer;
    const Cost cost = measure([&] { answer = contender.run(); });
    answers_.add(contender, answer);
    if (!answer.empty()) indices_[contender.name] = answer.front();
    return {cost.cpu_seconds * contender.scale, cost.wall_seconds * contender.scale, cost.peak_mebibytes};
  }

  void print(const Contender& contender, const Cost& cost) const {
    const Workload& workload = arguments_.workload;
    const bool has_index = workload.kernel == "si" || workload.kernel == "csi";
    const auto found = indices_.find(contender.name);
    const double index = has_index && found != indices_.end() ? found->second : std::nan("");
    std::printf("{\"kernel\":\"%s\",\"contender\":\"%s\",\"rows\":%zu,\"dims\":%zu,\"filters\":%zu",
                workload.kernel.c_str(), contender.name.c_str(), workload.rows, workload.dims,
                workload.filters);
    std::printf(",\"cpuSeconds\":%.6f,\"wallSeconds\":%.6f", cost.cpu_seconds, cost.wall_seconds);
    if (contender.name != "read") {
      std::printf(",\"gflops\":%.2f", operations_of(workload) / cost.wall_seconds * 1e-9);
    }
    std::printf(",\"inputBytesPerSecond\":%.4g",
                static_cast<double>(workload.features.size() * sizeof(float)) / cost.wall_seconds);
    std::printf(",\"peakBeyondInputMiB\":%.1f,\"extrapolated\":%s", cost.peak_mebibytes,
                contender.scale == 1 ? "false" : "true");
    std::printf(",\"scale\":%.6g", contender.scale);
    std::printf(",\"measuredRows\":%zu,\"measuredFilters\":%zu", contender.measured_rows,
                contender.measured_filters);
    if (!std::isnan(index)) std::printf(",\"index\":%.6f", index);
    std::printf("}\n");
    std::fflush(stdout);
  }

  const Arguments& arguments_;
  const std::vector<Contender> contenders_;
  AnswerCheck answers_;
  std::map<std::string, double> indices_;
};

int run(int count, char** values) {
  try {
    Arguments arguments = parse(count, values);
    fill(arguments.workload, arguments.data, arguments.seed);
    Session session(arguments);
    if (arguments.serve)
      session.serve();
    else
      session.run_rounds();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace sieve_bench

int main(int count, char** values) { return sieve_bench::run(count, values); }
