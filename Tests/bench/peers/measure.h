// What both peers print, and how: one line a figure, its name and its value with a tab between them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/resource.h>

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] inline void fail(const std::string &what) {
  std::fprintf(stderr, "peer: %s\n", what.c_str());
  std::exit(1);
}

inline void print_latencies(const char *name, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  auto micro = [&](double share) { return 1e6 * seconds[static_cast<size_t>(share * (seconds.size() - 1))]; };
  std::printf("%s, median; p99\t%.1f µs; %.1f µs\n", name, micro(0.5), micro(0.99));
}

inline void print_rate(const std::string &name, double count, double seconds) {
  std::printf("%s\t%.0f/s\n", name.c_str(), count / seconds);
  std::fflush(stdout);
}

inline void raise_open_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// A tenth of the work is enough to see whether it runs.
inline int share_of(int argc, char **argv, int index) {
  int share = argc > index ? std::atoi(argv[index]) : 1;
  return share < 1 ? 1 : share;
}
