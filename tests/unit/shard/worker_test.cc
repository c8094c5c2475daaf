#include "shard/worker.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/support/insecure.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/shard/table_builder.h"
#include "wire/messages.h"
#include "wire/row_codec.h"

namespace espalier::shard {
namespace {

constexpr std::int64_t kPatienceUs = 20'000'000;  ///< of the test, in real time

/// Goes on by a step whenever it is read, as if everything in between took so long.
class SteppingClock final : public Clock {
 public:
  std::int64_t monotonic_us() const override { return now_us_.fetch_add(step_us_); }
  std::int64_t wall_us() const override { return now_us_; }
  void set(std::int64_t now_us, std::int64_t step_us) {
    now_us_ = now_us;
    step_us_ = step_us;
  }

 private:
  mutable std::atomic<std::int64_t> now_us_{0};
  std::atomic<std::int64_t> step_us_{0};
};

std::unique_ptr<const ModelTable> table() {
  auto table = std::make_unique<ModelTable>();
  SnapshotMap<Model>::Editor models(table->models);
  models.set(std::make_shared<const Model>(model_of({{"production", "", {{"", "ready", 1}}}})));
  table->models = models.finish();
  return table;
}

void ask(wire::Socket& socket, std::size_t parts, std::int64_t sent_us, std::int64_t budget_us) {
  wire::PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.sent_us = sent_us;
  request.budget_us = budget_us;
  const std::vector<wire::NamedRow> rows = {{{"x", model::Value::of(1.0)}}};
  wire::Message message;
  message.emplace_back(std::string_view("id"));
  request.parts.resize(parts);
  for (wire::PartAsked& part : request.parts) part.rows = 1;
  message.emplace_back(wire::encode(request));
  for (std::size_t i = 0; i < parts; ++i) message.emplace_back(wire::encode_rows(rows));
  EXPECT_OK(socket.send(message));
}

Code answer_at(wire::Socket& socket) {
  wire::Message message;
  wire::Poller poller;
  poller.add(socket);
  EXPECT_TRUE(poller.wait(kPatienceUs)) << "nothing came";
  EXPECT_OK(socket.receive(message));
  if (message.size() < 2) return Code::internal;
  return wire::peek_status(message[1].view()).code();
}

TEST(Worker, TheTimeOfALongMessageCountsForThoseBehindIt) {
  SteppingClock clock;
  wire::Context context;
  LiveTable live(table());
  Damage damage;
  ASSERT_OK_AND_ASSIGN(const auto worker,
                       Worker::make(context, "s0", "tcp://127.0.0.1:*", live, damage, Verify::admission, clock));
  ASSERT_OK_AND_ASSIGN(const auto client,
                       wire::Socket::make(context, wire::SocketKind::dealer, testing::insecure_socket()));
  ASSERT_OK(client->connect(worker->endpoint()));
  const int stop_fd = eventfd(0, 0);
  std::thread thread([&] { worker->run(stop_fd); });
  clock.set(1'000'000, 0);
  ask(*client, 1, 900'000'000, 1'000'000);  // doesn't wait
  EXPECT_EQ(answer_at(*client), Code::ok);
  eventfd_write(stop_fd, 1);
  thread.join();
  eventfd_t count = 0;
  eventfd_read(stop_fd, &count);

  // Two that come at once, half a second after they were sent; the second has 60 ms more, the first takes longer.
  clock.set(1'500'000, 50'000);
  ask(*client, 3, 900'000'000, 10'000'000);
  ask(*client, 1, 900'000'000, 560'000);
  std::thread again([&] { worker->run(stop_fd); });
  EXPECT_EQ(answer_at(*client), Code::ok);
  EXPECT_EQ(answer_at(*client), Code::deadline_exceeded);
  eventfd_write(stop_fd, 1);
  again.join();
  close(stop_fd);
}

}  // namespace
}  // namespace espalier::shard
