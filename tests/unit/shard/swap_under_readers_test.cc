// A control thread swaps whole releases while workers answer: every request belongs to one of them, whole.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "shard/predict.h"
#include "tests/unit/shard/table_builder.h"
#include "wire/messages.h"
#include "wire/row_codec.h"

namespace espalier::shard {
namespace {

constexpr int kReaders = 3;
constexpr unsigned kSwaps = 200;
constexpr const char* kNodeNames[] = {"", "usa", "usa/ca", "usa/ca/fresno", "france"};

/// Release number r: every node of it adds 1000 r to its input, and has versions of its own.
std::unique_ptr<const ModelTable> table_of(unsigned release, const std::shared_ptr<const Servable>& servable) {
  std::vector<NodeLine> lines;
  for (const char* node : kNodeNames) lines.push_back({node, "cold", release});
  Model model = model_of({{"production", "", lines}});
  Tag tag = *model.tags[0];
  tag.release = uuid_of(release);
  SnapshotMap<Node>::Editor nodes(tag.nodes);
  model.tags[0]->nodes.for_each([&](const std::shared_ptr<const Node>& cold) {
    Node node = *cold;
    node.wanted = {servable, uuid_of(release), uuid_of(release), release};
    nodes.set(std::make_shared<const Node>(std::move(node)));
  });
  tag.nodes = nodes.finish();
  model.tags[0] = std::make_shared<const Tag>(std::move(tag));
  model.epoch = release;
  auto table = std::make_unique<ModelTable>();
  table->epoch = release;
  SnapshotMap<Model>::Editor models(table->models);
  models.set(std::make_shared<const Model>(std::move(model)));
  table->models = models.finish();
  return table;
}

struct Question {
  std::string header;
  std::vector<std::string> bodies;
  std::vector<std::string_view> views;
};

Question question() {
  wire::PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.budget_us = 60'000'000;
  Question q;
  for (const char* partition : {"usa/ca/fresno", "usa/ca/oakland", "usa/nv", "france", "peru"}) {
    wire::PartAsked part;
    part.partition = values_of(partition);
    request.parts.push_back(part);
    q.bodies.push_back(std::string("\x81\xa4rows\x91\x81\xa1x\x05", 11));  // {"rows": [{"x": 5}]}
  }
  q.header = wire::encode(request);
  for (const std::string& body : q.bodies) q.views.push_back(body);
  return q;
}

TEST(SwapUnderReaders, EveryRequestIsAnsweredByOneRelease) {
  std::vector<std::shared_ptr<const Servable>> servables;
  for (unsigned release = 0; release < 4; ++release) servables.push_back(servable_of(1000.0 * release));
  LiveTable live(table_of(1, servables[1]));
  Damage damage;
  std::atomic<bool> is_over{false};
  std::atomic<unsigned> asked{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      LiveTable::Reader reader(live);
      Predictor predictor("s0", Clock::system(), damage);
      const Question q = question();
      Reply reply;
      while (!is_over) {
        const auto lease = reader.lease();
        predictor.answer(Principal::local(), *lease, q.header, q.views, Clock::system().monotonic_us(), reply);
        const auto decoded = wire::decode<wire::PredictReply>(reply.header);
        ASSERT_TRUE(decoded.ok()) << decoded.status().text();
        ASSERT_EQ(decoded->parts.size(), q.views.size());
        for (std::size_t part = 0; part < q.views.size(); ++part) {
          ASSERT_EQ(decoded->parts[part].status, Code::ok) << decoded->parts[part].message;
          const auto& provenance = decoded->parts[part].provenance;
          ASSERT_EQ(provenance.release_epoch, lease->epoch);
          ASSERT_EQ(provenance.release, uuid_of(static_cast<unsigned>(lease->epoch)));
          const auto answer = wire::decode_prediction(reply.bodies[part], 1);
          ASSERT_TRUE(answer.ok());
          ASSERT_EQ(answer->value, std::vector<double>{1000.0 * static_cast<double>(lease->epoch % 4) + 5});
        }
        ++asked;
      }
    });
  }
  for (unsigned release = 2; release < kSwaps; ++release) {
    const unsigned before = asked;
    live.publish(table_of(release, servables[release % 4]));
    while (asked == before) std::this_thread::yield();
  }
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(live.collect(), 0u) << "every replaced table is destroyed once nobody reads it";
  EXPECT_GE(asked, kSwaps - 2);
}

}  // namespace
}  // namespace espalier::shard
