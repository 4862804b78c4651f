import { describeRandomGraphs } from './randomGraphProperties';

describeRandomGraphs(0, 60);
