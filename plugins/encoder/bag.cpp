#include <elbo/plugin.hpp>
#include <elbo/sparse.hpp>
using namespace elbo;

/// Fully connected layers over rows with few values that are not 0, x [B, D] -> features [B, last width]: the first is
/// a sum of the rows of its weights that the values name. Of other rows it is the product it stands for. Rows are
/// scaled to length 1 and thinned out before, as in Mult-VAE (Liang et al. 2018).
struct Bag : Encoder {
    bool normalise = true;
    double input_dropout = 0.5, dropout = 0;
    std::vector<std::int64_t> hidden{600};
    std::string activation = "tanh", init = "glorot_uniform";
    void parameters(auto& p) {
        p("normalise", normalise, "each row is divided by its length (root of the sum of squares)");
        p("input_dropout", input_dropout, "share of a row's values that is left out while training", fraction);
        p("hidden", hidden, "widths of the layers, first to last; the first is the bag", within(1, 1 << 20));
        p("activation", activation, "after every layer", one_of(kActivations));
        p("dropout", dropout, "share of the values of each layer that is left out while training", fraction);
        p("init", init, "how weights start", one_of(kInitialisers));
    }
    void ready() override {
        if (hidden.empty()) throw std::invalid_argument("encoder.hidden needs a layer: the first is the bag");
    }

    Var features(Var x) const override {
        Var table = parameter(x, "bag.weight", {last_size(flatten(x)), hidden[0]}, initialiser(init));
        Var bias = parameter(x, "bag.bias", {hidden[0]});
        const auto sparse = sparse_rows(x);
        Var h = sparse ? bag_sum(table, sparse->ids, prepared(sparse->values)) : matmul(prepared(flatten(x)), table);
        DenseLayers others;
        others.hidden.assign(hidden.begin() + 1, hidden.end());
        others.activation = activation, others.init = init, others.dropout = dropout;
        return others(elbo::dropout(elbo::activation(activation, h + bias), dropout));
    }

private:
    Var prepared(Var values) const {
        if (normalise) {
            Var length = sqrt(max(sum(square(values), {1}), 1e-12));
            values = values / reshape(length, {shape(values)[0], 1});
        }
        return elbo::dropout(values, input_dropout);
    }
};
ELBO_PLUGIN("encoder_bag", "1.0.0", "encoder/bag") {
    plugin.add<Bag>("bag", "fully connected layers over rows with few values that are not 0");
}
