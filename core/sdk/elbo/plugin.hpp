// What a plugin includes. Derive from the class of the kind you write, declare its parameters once, and close with
// ELBO_PLUGIN. A plugin links against nothing of ours: one compiler line builds it,
//
//     g++ -std=c++20 -O2 -shared -fPIC -fvisibility=hidden -I SDK laplace.cpp -o prior_laplace.so
//
// Methods say which ops follow from which (elbo/ops.hpp); they are called while a program is recorded, never per step.
// Data sets are the exception: they deliver rows of numbers. docs/plugins.md is the guide.
#pragma once

#include "layers.hpp"
#include "ops.hpp"

#include "kinds.hpp"
#include "nets.hpp"
#include "parameters.hpp"

#include "bound.hpp"
#include "entry.hpp"
