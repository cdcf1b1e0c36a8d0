// Draws eight samples in four threads from one model: threads MODEL OUT.pgm [VALUE of each column of the condition ...]
#include <gan/sampler.h>

#include <cstdlib>
#include <exception>
#include <future>
#include <iostream>

#include "../picture.h"

int main(int argc, char** argv) {
  if (argc < 3) return std::cerr << "usage: threads MODEL OUT.pgm [VALUE ...]\n", 2;
  try {
    const gan::Sampler sampler(argv[1]);  // all threads use it at once
    const gan_description& model = sampler.description();
    if (model.dimensions != 3) return std::cerr << argv[1] << " does not draw images\n", 2;
    std::vector<float> condition;
    for (int i = 3; i < argc; ++i) condition.push_back(std::strtof(argv[i], nullptr));

    // Each thread draws two samples into its part of the memory: a sample depends on its number, not on its thread.
    const std::size_t part = 2 * static_cast<std::size_t>(model.elements);
    std::vector<float> samples(4 * part);
    std::vector<std::future<void>> threads;
    for (std::size_t thread = 0; thread < 4; ++thread)
      threads.push_back(std::async(std::launch::async, [&, thread] {
        gan::Request request;
        request.count = 2;
        request.condition = condition;
        request.first = static_cast<std::int64_t>(2 * thread);
        sampler.sample(request, samples.data() + thread * part, part);
      }));
    for (std::future<void>& thread : threads) thread.get();  // throws what its thread has thrown
    if (!write_picture(argv[2], samples.data(), 8, model.shape, model.low, model.high))
      return std::cerr << argv[2] << " cannot be written\n", 3;
  } catch (const std::exception& error) {
    return std::cerr << error.what() << "\n", 4;
  }
}
