#include "model/pack.h"

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <map>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "common/log.h"
#include "model/artefact.h"
#include "model/pack_format.h"

namespace espalier::model {

struct Pack::State {
  struct Segment {
    std::string path;
    std::shared_ptr<const Mapping> mapping;
    std::uint64_t live_bytes = 0;
    std::uint64_t all_bytes = 0;  ///< of all frames, dead or alive
    std::uint64_t frames = 0;     ///< how many
    bool is_damaged = false;
  };
  struct Place {
    std::uint32_t segment;
    std::uint64_t offset;
    std::uint64_t size;
    bool operator==(const Place&) const = default;
  };
  /// A segment that is being moved out: the frames that have not been looked at, the next at the back.
  struct Moving {
    std::uint32_t segment = 0;
    std::vector<Frame> left;
  };
  /// A copy that counts from the next sync() on, unless the artefact has another place by then.
  struct Copy {
    Hash256 hash;
    Place from, to;
  };

  Files& files;
  std::string folder;
  PackOptions options;

  std::map<std::uint32_t, Segment> segments;  ///< by number
  std::uint32_t last_number = 0;              ///< of the segments there ever were
  std::unordered_map<Hash256, Place> index;
  std::uint64_t artefact_bytes = 0;

  // The last segment, while frames may be added to it; closed: null.
  std::unique_ptr<File> writable;
  std::string making;             ///< the name that it has until its first sync(); empty: it has its own
  std::uint64_t end = 0;          ///< where its next frame goes
  std::vector<Hash256> unsynced;  ///< added since the last sync()
  std::vector<Copy> copies;       ///< the same for what was moved
  std::optional<Moving> moving;
  std::vector<std::shared_ptr<const Mapping>> given_up;  ///< find() may have given their bytes to somebody

  Segment& last() { return segments.rbegin()->second; }
  std::string_view bytes_of(const Place& place) const {
    return segments.at(place.segment).mapping->bytes().substr(place.offset, place.size);
  }

  void keep(const Hash256& hash, Place place) {
    drop(hash);
    index.emplace(hash, place);
    artefact_bytes += place.size;
    segments.at(place.segment).live_bytes += frame_bytes(place.size);
  }

  void drop(const Hash256& hash) {
    const auto it = index.find(hash);
    if (it == index.end()) return;
    artefact_bytes -= it->second.size;
    segments.at(it->second.segment).live_bytes -= frame_bytes(it->second.size);
    index.erase(it);
  }

  Status load();
  Status load_segment(std::uint32_t number, bool is_last);
  bool secure_tail(std::uint32_t number, File& file, const SegmentContents& contents);
  Status make_segment(std::uint64_t bytes);
  Status name_segment();
  void give_up_segment();
  Status make_room(std::uint64_t size, std::uint64_t most_bytes);
  std::uint64_t disk_bytes() const;
  Status remove_unfinished(const std::vector<std::string>& names);
  Status seal();
  Status sync();
  Result<Place> write_frame(const Hash256& hash, std::string_view bytes, std::uint64_t most_bytes);
  Status begin_moving(std::uint32_t number);
  Status copy(const Frame& frame);
};

Status Pack::State::load() {
  RETURN_IF_ERROR(files.create_directories(folder));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  RETURN_IF_ERROR(remove_unfinished(names));
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = parse_segment_name(name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  for (const std::uint32_t number : numbers) RETURN_IF_ERROR(load_segment(number, number == numbers.back()));
  return {};
}

/// A segment that was being made when the process ended holds nothing.
Status Pack::State::remove_unfinished(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.starts_with("segment-") && name.ends_with(kMakingSuffix)) {
      RETURN_IF_ERROR(files.remove(folder + "/" + name));
    }
  }
  return {};
}

Status Pack::State::load_segment(std::uint32_t number, bool is_last) {
  last_number = std::max(last_number, number);
  // A link could lead to a file of another; a pipe would be waited for.
  if (std::error_code error;
      !std::filesystem::is_regular_file(std::filesystem::symlink_status(folder + "/" + segment_name(number), error))) {
    log::warn("pack", "segment set aside",
              {{"path", folder + "/" + segment_name(number)}, {"reason", "is no ordinary file"}});
    return {};
  }
  Segment segment{folder + "/" + segment_name(number), nullptr, 0, 0, 0, false};
  ASSIGN_OR_RETURN(segment.mapping, files.map(segment.path));
  const auto walked = walk_segment(segment.mapping->bytes(), number);
  if (walked.status().code() == Code::unimplemented) return walked.status().at(segment.path);
  if (!walked.ok()) log::warn("pack", "segment set aside", {{"path", segment.path}, {"reason", walked.status()}});
  const SegmentContents contents = walked.ok() ? *walked : SegmentContents{};
  const bool is_usable = walked.ok() && !contents.is_damaged;
  if (contents.is_damaged) log::warn("pack", "segment damaged", {{"path", segment.path}, {"offset", contents.end}});
  segment.is_damaged = !is_usable;
  segment.frames = contents.frames.size();
  for (const Frame& frame : contents.frames) segment.all_bytes += frame_bytes(frame.size);
  const std::string path = segment.path;
  segments.insert_or_assign(number, std::move(segment));
  for (std::size_t i = 0; i < contents.durable_frames; ++i) {
    const Frame& frame = contents.frames[i];
    keep(frame.hash, {number, frame.offset, frame.size});
  }
  const bool has_tail = contents.frames.size() > contents.durable_frames;
  if (!has_tail && !(is_last && is_usable)) return {};
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.open(path, false));
  if (has_tail && !secure_tail(number, *file, contents)) return {};
  if (!is_last || !is_usable) return {};
  end = contents.end;
  writable = std::move(file);
  return {};
}

/// The frames after the last mark may or may not have reached the disk: those with the right hash are written over
/// themselves, so that the sync that follows covers them whatever happened to an earlier one, and then count. False
/// when the segment must not be written to any more.
bool Pack::State::secure_tail(std::uint32_t number, File& file, const SegmentContents& contents) {
  const Segment& segment = segments.at(number);
  std::vector<Frame> good;
  Status status;
  for (std::size_t i = contents.durable_frames; i < contents.frames.size() && status.ok(); ++i) {
    const Frame& frame = contents.frames[i];
    const std::string_view bytes = segment.mapping->bytes().substr(frame.offset, frame.size);
    if (blake2b_256(bytes) != frame.hash) continue;
    status = file.write_at(
        frame.offset - kPackHeaderBytes,
        std::string(segment.mapping->bytes().substr(frame.offset - kPackHeaderBytes, kPackHeaderBytes + frame.size)));
    good.push_back(frame);
  }
  if (status.ok()) status = file.sync();
  if (!status.ok()) {
    log::warn("pack", "unsynced tail left out", {{"path", segment.path}, {"reason", status}});
    return false;
  }
  for (const Frame& frame : good) keep(frame.hash, {number, frame.offset, frame.size});
  const std::size_t torn = contents.frames.size() - contents.durable_frames - good.size();
  if (torn > 0) log::warn("pack", "torn frames left out", {{"path", segment.path}, {"frames", torn}});
  // A mark says that all before it is whole: where that isn't so there must never be one.
  return torn == 0;
}

// Nothing is synced here: the sync() of its first frames covers it, for all new segments of a group beside each other.
Status Pack::State::make_segment(std::uint64_t bytes) {
  const std::uint32_t number = last_number + 1;
  Segment segment{folder + "/" + segment_name(number), nullptr, 0, 0, 0, false};
  std::string name = segment.path + std::string(kMakingSuffix);
  std::unique_ptr<File> file;
  const auto make = [&]() -> Status {
    if (files.exists(name)) RETURN_IF_ERROR(files.remove(name));
    ASSIGN_OR_RETURN(file, files.open(name, true));
    RETURN_IF_ERROR(file->preallocate(bytes));
    RETURN_IF_ERROR(file->write_at(0, segment_header(number, bytes)));
    ASSIGN_OR_RETURN(segment.mapping, files.map(name));
    return {};
  };
  if (const Status made = make(); !made.ok()) {
    // What has no frame yet is worth nothing; left behind it would take space.
    static_cast<void>(files.remove(name));
    return made;
  }
  segments.insert_or_assign(number, std::move(segment));
  last_number = number;
  writable = std::move(file);
  making = std::move(name);
  end = kPackHeaderBytes;
  return {};
}

/// REQUIRES: the last segment is synced. From here on a start finds it whole.
Status Pack::State::name_segment() {
  if (making.empty()) return {};
  RETURN_IF_ERROR(files.rename(making, last().path));
  RETURN_IF_ERROR(files.sync_directory(folder));
  making.clear();
  return {};
}

/// The last segment never came to count, and nothing in it.
void Pack::State::give_up_segment() {
  static_cast<void>(files.remove(making));
  static_cast<void>(files.remove(last().path));
  given_up.push_back(last().mapping);
  segments.erase(std::prev(segments.end()));
  making.clear();
  writable.reset();
}

/// The last segment takes no more frames. Its mark is synced too, so that later starts need not look at its frames
/// again.
Status Pack::State::seal() {
  if (writable == nullptr) return {};
  RETURN_IF_ERROR(sync());
  if (!making.empty()) {
    give_up_segment();  // it has no frame
    return {};
  }
  RETURN_IF_ERROR(writable->sync());
  writable.reset();
  std::error_code ignored;  // for people and tools; this process opens it for reading only
  std::filesystem::permissions(
      last().path,
      std::filesystem::perms::owner_read | std::filesystem::perms::group_read | std::filesystem::perms::others_read,
      ignored);
  return {};
}

Status Pack::State::sync() {
  if (unsynced.empty() && copies.empty()) return {};
  Status synced = writable->sync();
  if (synced.ok()) synced = name_segment();
  if (!synced.ok()) {
    // The kernel may have dropped what it could not write and say nothing at the next attempt: these bytes are not to
    // be trusted, nor is the segment.
    for (const Hash256& hash : unsynced) drop(hash);
    unsynced.clear();
    copies.clear();
    moving.reset();
    if (!making.empty()) give_up_segment();
    writable.reset();
    return synced;
  }
  unsynced.clear();
  for (const Copy& copy : copies) {
    const auto it = index.find(copy.hash);
    if (it != index.end() && it->second == copy.from) keep(copy.hash, copy.to);
  }
  copies.clear();
  // A mark that fails or is lost costs the next start the hashing of the frames before it, nothing else.
  if (writable->write_at(end, mark_header(end)).ok()) end += kPackHeaderBytes;
  return {};
}

std::uint64_t Pack::State::disk_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [number, segment] : segments) sum += segment.mapping->bytes().size();
  return sum;
}

Status Pack::State::make_room(std::uint64_t size, std::uint64_t most_bytes) {
  // A mark must still fit behind it.
  const std::uint64_t needed = frame_bytes(size) + kPackHeaderBytes;
  const std::uint64_t fresh = std::max(options.segment_bytes, kPackHeaderBytes + needed);
  const bool fits = writable != nullptr && needed <= last().mapping->bytes().size() - end;
  // Where compaction has begun a segment beyond that, it is compaction's until another has gone for it.
  if (most_bytes != 0 && disk_bytes() + (fits ? 0 : fresh) > most_bytes) {
    return Status(Code::resource_exhausted,
                  folder + ": it would be larger than the " + std::to_string(most_bytes) + " bytes that it may be");
  }
  if (fits) return {};
  RETURN_IF_ERROR(seal());
  return make_segment(fresh);
}

Result<Pack::State::Place> Pack::State::write_frame(const Hash256& hash, std::string_view bytes,
                                                    std::uint64_t most_bytes) {
  RETURN_IF_ERROR(make_room(bytes.size(), most_bytes));
  // The bytes come first: until the header is there, the walk ends before them.
  RETURN_IF_ERROR(writable->write_at(end + kPackHeaderBytes, bytes));
  RETURN_IF_ERROR(writable->write_at(end, frame_header(hash, bytes.size())));
  const Place place{segments.rbegin()->first, end + kPackHeaderBytes, bytes.size()};
  end += frame_bytes(bytes.size());
  last().all_bytes += frame_bytes(bytes.size());
  ++last().frames;
  return place;
}

Status Pack::State::begin_moving(std::uint32_t number) {
  if (moving && moving->segment == number) return {};
  Moving begun{number, {}};
  // One whose own header does not hold has given nothing to the table of contents.
  const auto walked = walk_segment(segments.at(number).mapping->bytes(), number);
  if (walked.ok()) begun.left = walked->frames;
  std::ranges::reverse(begun.left);
  moving = std::move(begun);
  return {};
}

Status Pack::State::copy(const Frame& frame) {
  const Place from{moving->segment, frame.offset, frame.size};
  const std::string_view bytes = bytes_of(from);
  if (blake2b_256(bytes) != frame.hash) {
    return corrupt(segments.at(from.segment).path + ": artefact " + frame.hash.hex() + " no longer has its hash");
  }
  ASSIGN_OR_RETURN(const Place to, write_frame(frame.hash, bytes, 0));
  copies.push_back({frame.hash, from, to});
  return {};
}

Pack::Pack(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pack::~Pack() = default;

Result<std::unique_ptr<Pack>> Pack::open(Files& files, const std::string& folder, PackOptions options) {
  auto state = std::unique_ptr<State>(new State{files, folder, options, {}, 0, {}, 0, nullptr, {}, 0, {}, {}, {}, {}});
  RETURN_IF_ERROR(state->load());
  return std::unique_ptr<Pack>(new Pack(std::move(state)));
}

Status Pack::add(const Hash256& hash, std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kMaxArtefactBytes) {
    return invalid_argument("an artefact of " + std::to_string(bytes.size()) + " bytes");
  }
  if (state_->index.contains(hash)) return {};
  ASSIGN_OR_RETURN(const State::Place place, state_->write_frame(hash, bytes, state_->options.most_bytes));
  state_->keep(hash, place);
  state_->unsynced.push_back(hash);
  return {};
}

Status Pack::sync() { return state_->sync(); }

std::optional<std::string_view> Pack::find(const Hash256& hash) const {
  const auto it = state_->index.find(hash);
  if (it == state_->index.end()) return {};
  return state_->bytes_of(it->second);
}

std::shared_ptr<const Mapping> Pack::hold(const Hash256& hash) const {
  const auto it = state_->index.find(hash);
  return it == state_->index.end() ? nullptr : state_->segments.at(it->second.segment).mapping;
}

Status Pack::verify(const Hash256& hash) {
  const auto bytes = find(hash);
  if (!bytes) return not_found("artefact " + hash.hex());
  if (blake2b_256(*bytes) == hash) return {};
  const std::string path = state_->segments.at(state_->index.at(hash).segment).path;
  forget(hash);
  return corrupt(path + ": artefact " + hash.hex() + " no longer has its hash");
}

void Pack::forget(const Hash256& hash) { state_->drop(hash); }

Result<std::uint64_t> Pack::salvage(bool dry_run) {
  std::uint64_t found = 0;
  // Adding makes segments; those are sound.
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, segment] : state_->segments) numbers.push_back(number);
  for (const std::uint32_t number : numbers) {
    const std::string_view bytes = state_->segments.at(number).mapping->bytes();
    const auto walked = walk_segment(bytes, number);
    if (walked.ok() && !walked->is_damaged) continue;
    for (const Frame& frame : frames_anywhere(bytes, walked.ok() ? walked->end : kPackHeaderBytes)) {
      const std::string_view artefact = bytes.substr(frame.offset, frame.size);
      if (state_->index.contains(frame.hash) || blake2b_256(artefact) != frame.hash) continue;
      ++found;
      if (!dry_run) RETURN_IF_ERROR(add(frame.hash, artefact));
    }
  }
  if (!dry_run) RETURN_IF_ERROR(sync());
  return found;
}

std::vector<Hash256> Pack::hashes() const {
  std::vector<Hash256> result;
  result.reserve(state_->index.size());
  for (const auto& [hash, place] : state_->index) result.push_back(hash);
  std::ranges::sort(result);
  return result;
}

std::vector<Hash256> Pack::hashes_in(std::uint32_t segment) const {
  std::vector<Hash256> result;
  for (const auto& [hash, place] : state_->index) {
    if (place.segment == segment) result.push_back(hash);
  }
  return result;
}

std::uint64_t Pack::artefact_bytes() const { return state_->artefact_bytes; }

std::uint64_t Pack::live_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [number, segment] : state_->segments) sum += segment.live_bytes;
  return sum;
}

std::uint64_t Pack::disk_bytes() const { return state_->disk_bytes(); }

std::vector<Pack::SegmentUse> Pack::segments() const {
  std::vector<SegmentUse> uses;
  for (const auto& [number, segment] : state_->segments) {
    const bool is_open = state_->writable != nullptr && number == state_->segments.rbegin()->first;
    const std::uint64_t bytes = segment.mapping->bytes().size();
    uses.push_back({number, bytes, segment.live_bytes, segment.all_bytes - segment.live_bytes, is_open,
                    segment.is_damaged, bytes > state_->options.segment_bytes && segment.frames > 1});
  }
  return uses;
}

Status Pack::seal() { return state_->seal(); }

Result<bool> Pack::move_out(std::uint32_t segment, std::uint64_t most) {
  RETURN_IF_ERROR(state_->begin_moving(segment));
  std::vector<Frame>& left = state_->moving->left;
  for (std::uint64_t moved = 0; !left.empty() && moved < most; left.pop_back()) {
    const Frame& frame = left.back();
    const auto it = state_->index.find(frame.hash);
    if (it == state_->index.end() || it->second != State::Place{segment, frame.offset, frame.size}) continue;
    RETURN_IF_ERROR(state_->copy(frame));
    moved += frame_bytes(frame.size);
  }
  RETURN_IF_ERROR(state_->sync());
  return left.empty();
}

Status Pack::remove_segment(std::uint32_t segment) {
  State::Segment& gone = state_->segments.at(segment);
  assert(gone.live_bytes == 0 && state_->moving && state_->moving->segment == segment && state_->moving->left.empty());
  RETURN_IF_ERROR(state_->files.remove(gone.path));
  state_->moving.reset();
  state_->segments.erase(segment);
  return state_->files.sync_directory(state_->folder);
}

}  // namespace espalier::model
