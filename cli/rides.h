// Ride durations by country and city: data made up from a seed, for trying things out.
//
// The structure is what a tree of models is for: cities of very uneven size, each with its own traffic, most of it
// shared with its country; a quarter of the cities has too few rides for a model of its own, and some rides name no
// city at all. The same rows and seed give the same bytes on every machine.
//
// Thread safety: a RideSource belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace espalier::cli {

class RideSource {
 public:
  explicit RideSource(std::uint64_t seed);

  /// "ride_id,country,city,..." with its line end.
  static std::string header();
  /// Appends the next ride as a line of CSV.
  void append_row(std::string& to);

 private:
  struct City {
    std::string name;
    double minutes_per_km, pickup_minutes, rush, rain, distance_km;
  };
  struct Country {
    std::string name;
    double share;  ///< of all rides, added up over the countries before it
    std::vector<City> cities;
    std::vector<double> shares;  ///< of the country's rides, added up
  };

  std::uint64_t next();
  double uniform();  ///< in [0, 1)
  double normal();   ///< mean 0, deviation 1
  void make_country(std::string_view name, std::string_view cities);

  std::uint64_t state_;
  std::uint64_t ride_ = 0;
  std::vector<Country> countries_;
};

}  // namespace espalier::cli
