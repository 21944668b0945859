internal import Glibc

/// A linear model over hashed character and word n-grams, one weight vector and one calibrated probability per label.
///
/// Text in is UTF-8 that was folded as the rules' `folded` view is; what the model was trained on was folded alike. Long
/// texts are judged in windows that overlap by half (see `TextFeatures`), so that a short attack in a long document is
/// not thinned out; a text's score is its highest window's. The score of a window is
/// `calibration(bias + sum of its n-grams' weights / sqrt(number of its n-grams))`.
///
/// Cost is linear in the text: every n-gram is hashed once, windows share sums.
package struct LinearClassifier: Sendable {
    package struct Label: Sendable, Hashable {
        package var name: String
        package var bias: Float
        package var calibration: Calibration

        package init(name: String, bias: Float, calibration: Calibration) {
            self.name = name
            self.bias = bias
            self.calibration = calibration
        }
    }

    /// From a score on the logit scale to a probability.
    package enum Calibration: Sendable, Hashable {
        /// `1 / (1 + exp(-z))`
        case logistic
        /// `1 / (1 + exp(-(a z + b)))` (Platt, Probabilistic Outputs for SVMs, 1999); `a` is positive, so that the order
        /// of scores stays.
        case platt(a: Float, b: Float)
        /// Through points with ascending `x` and never descending `y` in 0...1, straight between them, level beyond
        /// (Zadrozny and Elkan, Transforming Classifier Scores, 2002).
        case isotonic([Point])

        package struct Point: Sendable, Hashable {
            package var x: Float
            package var y: Float

            package init(x: Float, y: Float) { (self.x, self.y) = (x, y) }
        }

        package func probability(_ z: Double) -> Double {
            switch self {
            case .logistic: return 1 / (1 + exp(-z))
            case .platt(let a, let b): return 1 / (1 + exp(-(Double(a) * z + Double(b))))
            case .isotonic(let points):
                guard let first = points.first, let last = points.last else { return 0 }
                if z <= Double(first.x) { return Double(first.y) }
                if z >= Double(last.x) { return Double(last.y) }
                // The first point behind z; there is one, and one before it.
                var low = 0
                var high = points.count - 1
                while low < high {
                    let middle = (low + high) / 2
                    if Double(points[middle].x) <= z { low = middle + 1 } else { high = middle }
                }
                let (left, right) = (points[low - 1], points[low])
                let share = (z - Double(left.x)) / (Double(right.x) - Double(left.x))
                return Double(left.y) + share * (Double(right.y) - Double(left.y))
            }
        }
    }

    /// A window of a text and what the labels score in it.
    package struct Window: Sendable, Hashable {
        /// Bytes of the text, whole characters.
        package var range: Range<Int>
        /// By label, before calibration.
        package var logits: [Double]
        /// By label, 0...1.
        package var scores: [Double]
    }

    package let features: FeatureOptions
    package let labels: [Label]
    /// By bucket, then label.
    let weights: [Float]

    /// - Precondition: `weights` has `features.buckets * labels.count` elements.
    init(features: FeatureOptions, labels: [Label], weights: [Float]) {
        self.features = features
        self.labels = labels
        self.weights = weights
    }

    package func index(ofLabel name: String) -> Int? {
        labels.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
    }

    /// Windows of a text in order; none of an empty text.
    package func windows(_ text: Span<UInt8>) -> [Window] {
        let width = labels.count
        let blocks = TextFeatures.blocks(text, features)
        guard !blocks.ranges.isEmpty else { return [] }
        var sums = [Double](repeating: 0, count: blocks.ranges.count * width)
        var counts = [Int](repeating: 0, count: blocks.ranges.count)
        TextFeatures.forEach(text, blocks, features) { block, bucket in
            counts[block] += 1
            for label in 0..<width { sums[block * width + label] += Double(weights[bucket * width + label]) }
        }
        return (0..<max(1, blocks.ranges.count - 1)).map { first in
            let last = min(first + 1, blocks.ranges.count - 1)
            let count = (first...last).reduce(0) { $0 + counts[$1] }
            let logits = (0..<width).map { label in
                let sum = (first...last).reduce(0.0) { $0 + sums[$1 * width + label] }
                return Double(labels[label].bias) + sum / Double(max(1, count)).squareRoot()
            }
            return Window(
                range: blocks.ranges[first].lowerBound..<blocks.ranges[last].upperBound, logits: logits,
                scores: zip(labels, logits).map { $0.calibration.probability($1) })
        }
    }

    /// The text's score by label: the highest of its windows; 0 of an empty text.
    package func scores(_ text: Span<UInt8>) -> [Double] {
        windows(text).reduce(into: [Double](repeating: 0, count: labels.count)) { best, window in
            for (index, score) in window.scores.enumerated() { best[index] = max(best[index], score) }
        }
    }
}
