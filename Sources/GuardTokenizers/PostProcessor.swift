/// What `addSpecialTokens` puts around the ids of one text.
struct PostProcessor: Sendable, Hashable {
    /// Spaces at the ends of tokens have no place in the text.
    struct OffsetTrimming: Sendable, Hashable {
        /// The first space of the text was put there.
        var addsPrefixSpace: Bool
    }

    var prefix: [UInt32] = []
    var suffix: [UInt32] = []
    var offsetTrimming: OffsetTrimming?
}
