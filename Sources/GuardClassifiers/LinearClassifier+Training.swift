internal import Glibc

extension LinearClassifier {
    /// A text with the labels that hold of it; others do not.
    package struct Sample: Sendable {
        /// Folded.
        package var text: [UInt8]
        package var labels: Set<String>

        package init(text: [UInt8], labels: Set<String>) { (self.text, self.labels) = (text, labels) }
    }

    package struct TrainingOptions: Sendable {
        package var features = FeatureOptions()
        package var epochs = 30
        package var rate = 0.5
        /// Pull towards 0.
        package var decay = 1e-4
        package var seed: UInt64 = 1
        /// Parts that the samples are cut into for calibration.
        package var folds = 5

        package init() {}
    }

    /// Logistic regression, a label against the rest, by stochastic gradient descent with steps scaled per weight
    /// (AdaGrad: Duchi, Hazan and Singer 2011), and Platt's calibration fitted to scores of samples that were held out.
    /// The same input gives the same model. A sample is read up to one window.
    ///
    /// - Parameter samples: not empty.
    package static func train(
        _ samples: [Sample], labels: [String], options: TrainingOptions = TrainingOptions()
    ) -> LinearClassifier {
        let vectors = samples.map { vector($0.text, options.features) }
        var trained: [(weights: [Double], bias: Double, calibration: Calibration)] = []
        for label in labels {
            let holds = samples.map { $0.labels.contains(label) }
            var logits = [Double](repeating: 0, count: samples.count)
            let folds = max(2, min(options.folds, samples.count))
            for fold in 0..<folds {
                let rest = samples.indices.filter { $0 % folds != fold }
                let (weights, bias) = descend(vectors, holds, rest, options)
                for index in samples.indices where index % folds == fold {
                    logits[index] = bias + product(weights, vectors[index])
                }
            }
            let (weights, bias) = descend(vectors, holds, Array(samples.indices), options)
            trained.append((weights, bias, platt(logits, holds)))
        }
        var weights: [Float] = []
        weights.reserveCapacity(options.features.buckets * labels.count)
        for bucket in 0..<options.features.buckets {
            for label in trained { weights.append(Float(label.weights[bucket])) }
        }
        return LinearClassifier(
            features: options.features,
            labels: zip(labels, trained).map {
                Label(name: $0, bias: Float($1.bias), calibration: $1.calibration)
            }, weights: weights)
    }

    private typealias Vector = [(bucket: Int, value: Double)]

    /// The first window's n-grams, each as it counts in a score.
    private static func vector(_ text: [UInt8], _ options: FeatureOptions) -> Vector {
        var blocks = TextFeatures.blocks(text.span, options)
        blocks.ranges = Array(blocks.ranges.prefix(2))
        var counts: [Int: Int] = [:]
        var total = 0
        TextFeatures.forEach(text.span, blocks, options) { _, bucket in
            counts[bucket, default: 0] += 1
            total += 1
        }
        let length = Double(max(1, total)).squareRoot()
        return counts.sorted { $0.key < $1.key }.map { ($0.key, Double($0.value) / length) }
    }

    private static func product(_ weights: [Double], _ vector: Vector) -> Double {
        vector.reduce(0) { $0 + weights[$1.bucket] * $1.value }
    }

    private static func descend(
        _ vectors: [Vector], _ holds: [Bool], _ indexes: [Int], _ options: TrainingOptions
    ) -> (weights: [Double], bias: Double) {
        var weights = [Double](repeating: 0, count: options.features.buckets)
        var squares = [Double](repeating: 1e-6, count: options.features.buckets)
        var bias = 0.0
        var biasSquares = 1e-6
        // A label that is rare counts as much as what it is told from.
        let positive = Double(max(1, indexes.count { holds[$0] }))
        let negative = Double(max(1, indexes.count { !holds[$0] }))
        var order = indexes
        var random = options.seed
        for _ in 0..<options.epochs {
            for index in order.indices.reversed() where index > 0 {
                // xorshift64*
                random ^= random >> 12
                random ^= random << 25
                random ^= random >> 27
                order.swapAt(index, Int((random &* 0x2545_F491_4F6C_DD1D) >> 33) % (index + 1))
            }
            for sample in order {
                let share = 0.5 * Double(indexes.count) / (holds[sample] ? positive : negative)
                let z = bias + product(weights, vectors[sample])
                let error = (1 / (1 + exp(-z)) - (holds[sample] ? 1 : 0)) * share
                for (bucket, value) in vectors[sample] {
                    let slope = error * value + options.decay * weights[bucket]
                    squares[bucket] += slope * slope
                    weights[bucket] -= options.rate * slope / squares[bucket].squareRoot()
                }
                biasSquares += error * error
                bias -= options.rate * error / biasSquares.squareRoot()
            }
        }
        return (weights, bias)
    }

    /// Newton's method on the regularised targets of Lin, Lin and Weng, A Note on Platt's Probabilistic Outputs, 2007.
    static func platt(_ logits: [Double], _ holds: [Bool]) -> Calibration {
        let positive = Double(holds.count { $0 })
        let negative = Double(holds.count) - positive
        guard positive > 0, negative > 0 else { return .logistic }
        let targets = holds.map { $0 ? (positive + 1) / (positive + 2) : 1 / (negative + 2) }
        var a = 1.0
        var b = 0.0
        for _ in 0..<100 {
            var (aa, ab, bb, da, db) = (1e-9, 0.0, 1e-9, 0.0, 0.0)
            for (z, target) in zip(logits, targets) {
                let p = 1 / (1 + exp(-(a * z + b)))
                let weight = p * (1 - p)
                aa += z * z * weight
                ab += z * weight
                bb += weight
                da += z * (p - target)
                db += p - target
            }
            let determinant = aa * bb - ab * ab
            guard determinant > 1e-12 else { break }
            let (stepA, stepB) = ((bb * da - ab * db) / determinant, (aa * db - ab * da) / determinant)
            // Half a step where a whole one would go astray.
            let scale = min(1, 4 / max(abs(stepA), abs(stepB), 1e-12))
            a -= scale * stepA
            b -= scale * stepB
            if abs(stepA) + abs(stepB) < 1e-9 { break }
        }
        guard a.isFinite, b.isFinite, a > 1e-6 else { return .logistic }
        return .platt(a: Float(a), b: Float(b))
    }
}
