#include <elbo/plugin.hpp>
using namespace elbo;

/// Words as a product of experts (ProdLDA, Srivastava and Sutton 2017): logits are shares of topics times each topic's
/// weights of words, and the shares are the softmax of the code. The logits are normalised over the batch with a
/// learned shift alone, without which topics become alike; `topics` a mixture of distributions instead is LDA.
struct ProdLda : Decoder {
    double dropout = 0.2;
    bool normalise = true, mixture = false;
    void parameters(auto& p) {
        p("dropout", dropout, "share of the topics' shares that is left out while training", fraction);
        p("normalise", normalise, "the logits, over the batch");
        p("mixture", mixture, "each topic is a distribution of words and they are mixed (neural LDA)");
    }

    Var raw(Var z) const override {
        const std::int64_t words = outputs(z);
        Var shares = elbo::dropout(softmax(z), dropout);
        Var topics = parameter(z, "topics", {last_size(z), words}, Init::glorot());
        if (mixture) {
            Var each = softmax(normalise ? normalised_logits(topics) : topics);
            return log(max(matmul(shares, each), 1e-10));
        }
        Var logits = matmul(shares, topics);
        return normalise ? normalised_logits(logits) : logits;
    }

private:
    static Var normalised_logits(Var x) { return batch_normalised(x, "norm", 0.9, 1e-5, false); }
};
ELBO_PLUGIN("decoder_prod_lda", "1.0.0", "decoder/prod_lda") {
    plugin.add<ProdLda>("prod_lda", "topics of words, as a product of experts");
}
