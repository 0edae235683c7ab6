#include "policy/flops.h"

#include "gtest/gtest.h"

namespace ponder {
namespace {

ModelConfig Tiny() {
  ModelConfig m;
  m.model_type = "llama";
  m.vocab_size = 100;
  m.hidden_size = 8;
  m.intermediate_size = 16;
  m.num_layers = 3;
  m.num_heads = 4;
  m.num_kv_heads = 2;
  m.head_dim = 2;
  return m;
}

// Products of a layer: q and o 8 x 8, k and v 8 x 4, gate, up and down 8 x 16;
// norms have 8 weights each.
constexpr double kLayer = 2 * 64 + 2 * 32 + 3 * 128 + 2 * 8;
constexpr double kBody = 3 * kLayer + 8;

TEST(FlopsTest, OfOneToken) {
  // Four heads attend to one key: two operations for each of 2 + 2 elements.
  EXPECT_EQ(ForwardFlops(Tiny(), 1, 0), 2 * kBody + 3 * 4 * 2 * 4);
}

TEST(FlopsTest, AttentionIsCausal) {
  const double pair = 3 * 4 * 2 * 4;
  EXPECT_EQ(ForwardFlops(Tiny(), 5, 0), 5 * 2 * kBody + 15 * pair);
}

TEST(FlopsTest, OnlyOutputsPassTheHead) {
  const double without = ForwardFlops(Tiny(), 5, 0);
  EXPECT_EQ(ForwardFlops(Tiny(), 5, 2) - without, 2 * 2 * 800);
  // The embedding is looked up, tied or not.
  ModelConfig tied = Tiny();
  tied.tie_word_embeddings = true;
  EXPECT_EQ(ForwardFlops(tied, 5, 2), ForwardFlops(Tiny(), 5, 2));
}

TEST(FlopsTest, ATokenPassesSomeOfTheExperts) {
  ModelConfig m = Tiny();
  m.moe.num_experts = 6;
  m.moe.experts_per_token = 2;
  m.moe.intermediate_size = 4;
  m.moe.layers = {false, true, true};
  // Two layers have a router and two experts instead of their network.
  const double body = kBody + 2 * (8 * 6 + 2 * 3 * 8 * 4 - 3 * 128);
  EXPECT_EQ(ForwardFlops(m, 1, 0), 2 * body + 3 * 4 * 2 * 4);
}

TEST(FlopsTest, MeasuresAProduct) {
  const double flops =
      MeasureProductFlops(64, 128, 32, at::kFloat, at::Device(at::kCPU));
  EXPECT_GT(flops, 1e6);
  EXPECT_LT(flops, 1e15);
}

}  // namespace
}  // namespace ponder
