// Settings that any data set takes beside its own; what they mean is core/data's.
#pragma once

#include <cstdint>
#include <string>

#include "core/host/settings.hpp"

namespace elbo::core {

/// Options that any data set takes.
struct DataOptions {
    std::string scale = "auto";
    bool standardize = false, numbers_only = false, clip = false, dequantize = false, mirror = false;
    double test_fraction = 0.1;
    std::int64_t split_seed = 1, noise_seed = 1;
    std::string resize, binarize = "none";

    void parameters(auto& p) {
        p("scale", scale,
          "unit: the training rows' range to 0..1, of images as a whole, of tables column by column; auto: unit for "
          "images, none otherwise",
          one_of("auto|unit|none"));
        p("clip", clip, "with scale unit: test values beyond the training rows' range are cut to it");
        p("standardize", standardize, "each value to mean 0 and deviation 1 over the training rows");
        p("numbers_only", numbers_only,
          "with standardize: columns that the data says are yes or no, classes or counts stay as they are");
        p("test_fraction", test_fraction, "of a set without a test split", fraction);
        p("split_seed", split_seed, "chooses these rows", not_negative);
        p("resize", resize, "images to this size, 32x32, height first, before all else; none: as they are");
        p("dequantize", dequantize,
          "noise between a whole number and the next is added before scaling, anew in each epoch (Theis et al. 2016)");
        p("mirror", mirror, "while training, images are mirrored left to right in every second case");
        p("binarize", binarize,
          "values of 0..1, after scaling, become 0 or 1: by 1/2; or by a draw, once for all (fixed) or anew in each "
          "epoch (dynamic; elsewhere once for all)",
          one_of("none|threshold|fixed|dynamic"));
        p("noise_seed", noise_seed, "of these draws", not_negative);
    }
};

} // namespace elbo::core
